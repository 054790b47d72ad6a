#include "backends/tensorrt/provider/library.h"

#include <dlfcn.h>
#include <link.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <system_error>
#include <vector>

#include "cardiacseg/error.h"

namespace cardiacseg::tensorrt {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFolders = "CARDIACSEG_TENSORRT_LIBRARIES";
constexpr const char* kRoot = kRtx ? "TensorRT_RTX_ROOT" : "TensorRT_ROOT";

std::string soname(const std::string& stem) { return "lib" + stem + ".so." + std::to_string(kMajor); }

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// The folder that pip's packages lie in, if this library is part of one.
fs::path site_packages() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&site_packages), &info) == 0 || info.dli_fname == nullptr) return {};
  return fs::absolute(info.dli_fname).parent_path().parent_path();
}

/// Where to look, in this order; an empty path stands for the loader's own search.
std::vector<fs::path> folders() {
  std::vector<fs::path> found;
  std::istringstream listed(environment(kFolders));
  for (std::string folder; std::getline(listed, folder, ':');) {
    if (!folder.empty()) found.emplace_back(folder);
  }
  if (const std::string root = environment(kRoot); !root.empty()) found.push_back(fs::path(root) / "lib");
  found.emplace_back();
  for (const char* package : {kRtx ? "tensorrt_rtx_libs" : "tensorrt_libs", kRtx ? "tensorrt_rtx" : "tensorrt"}) {
    if (const fs::path folder = site_packages() / package; fs::is_directory(folder)) found.push_back(folder);
  }
  return found;
}

/// What came of a search for a library.
struct Search {
  void* library = nullptr;
  std::string looked_in;
  std::string refusal;  ///< the loader's words about a file that is there
};

Search search(const std::string& name) {
  Search result;
  for (const fs::path& folder : folders()) {
    result.looked_in += (result.looked_in.empty() ? "" : ", ") +
                        (folder.empty() ? std::string("the loader's own search path") : folder.string());
    result.library = dlopen((folder / name).c_str(), RTLD_NOW | RTLD_LOCAL);
    if (result.library != nullptr) return result;
    const char* words = dlerror();
    std::error_code ignored;
    if (words != nullptr && !folder.empty() && fs::exists(folder / name, ignored)) result.refusal = words;
  }
  return result;
}

struct Opened {
  void* library;
  std::string name;
};

Opened open(const std::string& name) {
  const Search result = search(name);
  if (result.library != nullptr) return {result.library, name};
  const std::string expected = std::string(kProduct) + ": expected the library " + name;
  if (!result.refusal.empty()) {
    throw Error(ErrorCode::backend, expected + ", got one that cannot be loaded: " + result.refusal);
  }
  throw Error(ErrorCode::backend,
              expected + ", got none in " + result.looked_in + "; " + kFolders + " may name the folder that holds it");
}

template <class Function>
void look_up(const Opened& opened, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(opened.library, name));
  if (function != nullptr) return;
  throw Error(ErrorCode::backend,
              std::string(kProduct) + ": expected the function " + name + ", got none in " + opened.name);
}

/// Libraries that TensorRT opens or needs by name alone, put before it if they are not on the loader's path. That
/// one of them is missing shows when it is needed.
void open_companions([[maybe_unused]] int version) {
  if constexpr (!kRtx) {
    search(soname("nvinfer_plugin"));
    if constexpr (kApi < 1000) search("libnvinfer_builder_resource.so." + version_text(version));
  }
}

InferenceLibrary open_inference_library() {
  const Opened library = open(soname(kRtx ? "tensorrt_rtx" : "nvinfer"));
  std::int32_t (*version)() = nullptr;
  look_up(library, "getInferLibVersion", version);
  InferenceLibrary found{};
  found.handle = library.library;
  found.version = version();
  require_version(found.version);
  look_up(library, "createInferBuilder_INTERNAL", found.create_builder);
  look_up(library, "createInferRuntime_INTERNAL", found.create_runtime);
  look_up(library, "getPluginRegistry", found.plugin_registry);
  return found;
}

constexpr const char* kPlainName = "libtensorrt_rtx.so";

fs::path path_of(void* library) {
  link_map* map = nullptr;
  return dlinfo(library, RTLD_DI_LINKMAP, &map) == 0 && map->l_name != nullptr ? fs::path(map->l_name) : fs::path();
}

bool finds(const fs::path& parser) {
  std::error_code ignored;
  return fs::exists(parser.parent_path() / kPlainName, ignored) || dlopen(kPlainName, RTLD_NOW | RTLD_LOCAL) != nullptr;
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
  if (!fs::exists(folder.path() / kPlainName)) fs::create_symlink(library, folder.path() / kPlainName);
  return copy;
}

/// TensorRT-RTX's parser opens `libtensorrt_rtx.so`, by this name and first of all beside itself, when it meets a
/// plugin, and if there is none it ends the process: so it is in the pip package, whose library is called
/// `libtensorrt_rtx.so.1` alone. `parser` and `library` are the opened ones. Gives back `parser` if that name is
/// found, else a copy of it that was opened in a temporary folder with a link of that name; the folder goes when the
/// process ends. Throws Error(backend).
void* parser_that_finds(void* parser, void* library) try {
  const fs::path path = path_of(parser);
  if (path.empty() || finds(path)) return parser;
  const fs::path copy = copy_with_link(fs::absolute(path), fs::absolute(path_of(library)));
  void* opened = dlopen(copy.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (opened != nullptr) return opened;
  throw Error(ErrorCode::backend, std::string("TensorRT-RTX: a copy of its parser cannot be loaded: ") + dlerror());
} catch (const fs::filesystem_error& error) {
  throw Error(ErrorCode::backend,
              std::string("TensorRT-RTX: expected a temporary folder for a copy of its parser: ") + error.what());
}

CreateParser open_parser_library() {
  open_companions(inference_library().version);
  Opened library = open(soname(kRtx ? "tensorrt_onnxparser_rtx" : "nvonnxparser"));
  if constexpr (kRtx) library.library = parser_that_finds(library.library, inference_library().handle);
  CreateParser found = nullptr;
  look_up(library, "createNvOnnxParser_INTERNAL", found);
  return found;
}

}  // namespace

const InferenceLibrary& inference_library() {
  static const InferenceLibrary library = open_inference_library();
  return library;
}

CreateParser parser_library() {
  static const CreateParser create = open_parser_library();
  return create;
}

std::string version_text(int version) {
  const int unit = version >= 10000 ? 10000 : 1000;
  return std::to_string(version / unit) + "." + std::to_string(version % unit / 100) + "." +
         std::to_string(version % 100);
}

void require_version(int version) {
  const int unit = version >= 10000 ? 10000 : 1000;
  if (version / unit == kMajor && version % unit / 100 >= kMinor) return;
  throw Error(ErrorCode::backend, std::string(kProduct) + ": expected a library of version " + std::to_string(kMajor) +
                                      "." + std::to_string(kMinor) + " or a later " + std::to_string(kMajor) +
                                      ".x, as this provider was compiled for, got " + version_text(version));
}

}  // namespace cardiacseg::tensorrt
