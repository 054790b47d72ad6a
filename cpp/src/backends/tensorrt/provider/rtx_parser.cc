#include "backends/tensorrt/provider/rtx_parser.h"

#include <dlfcn.h>
#include <link.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

#include "cardiacseg/error.h"

namespace cardiacseg::tensorrt {
namespace {

namespace fs = std::filesystem;

constexpr const char* kName = "libtensorrt_rtx.so";

fs::path path_of(void* library) {
  link_map* map = nullptr;
  return dlinfo(library, RTLD_DI_LINKMAP, &map) == 0 && map->l_name != nullptr ? fs::path(map->l_name) : fs::path();
}

bool finds(const fs::path& parser) {
  std::error_code ignored;
  return fs::exists(parser.parent_path() / kName, ignored) || dlopen(kName, RTLD_NOW | RTLD_LOCAL) != nullptr;
}

/// A folder in the system's temporary one, as long as the process lives.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "cardiacseg-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr)
      throw fs::filesystem_error("mkdtemp", name, std::error_code(errno, std::generic_category()));
    path_ = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

/// A copy, not a link: the loader would take that for the parser that it may have opened elsewhere.
fs::path copy_with_link(const fs::path& parser, const fs::path& library) {
  static const TemporaryFolder folder;
  const fs::path copy = folder.path() / parser.filename();
  fs::copy_file(parser, copy, fs::copy_options::overwrite_existing);
  if (!fs::exists(folder.path() / kName)) fs::create_symlink(library, folder.path() / kName);
  return copy;
}

}  // namespace

void* parser_that_finds(void* parser, void* library) try {
  const fs::path path = path_of(parser);
  if (path.empty() || finds(path)) return parser;
  const fs::path copy = copy_with_link(fs::absolute(path), fs::absolute(path_of(library)));
  void* opened = dlopen(copy.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (opened != nullptr) return opened;
  throw Error(ErrorCode::backend, std::string("TensorRT-RTX: a copy of its parser cannot be loaded: ") + dlerror());
} catch (const fs::filesystem_error& error) {
  throw Error(ErrorCode::backend,
              std::string("TensorRT-RTX: wanted a temporary folder for a copy of its parser: ") + error.what());
}

}  // namespace cardiacseg::tensorrt
