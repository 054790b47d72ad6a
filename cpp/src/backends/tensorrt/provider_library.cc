#include "backends/tensorrt/provider_library.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <mutex>
#include <system_error>

#include "cardiacseg/cardiac_segmenter.h"
#include "cardiacseg/error.h"

namespace cardiacseg::tensorrt {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse(const fs::path& library, const std::string& message) {
  throw Error(ErrorCode::backend, library.string() + ": " + message);
}

std::string last_loader_error() {
  const char* message = dlerror();
  return message != nullptr ? message : "the loader does not say why";
}

/// The folder of the library or program that holds this code.
fs::path own_folder() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&own_folder), &info) == 0 || info.dli_fname == nullptr) return {};
  return fs::absolute(info.dli_fname).parent_path();
}

std::vector<fs::path> folders() {
  std::vector<fs::path> all;
  const char* chosen = std::getenv("CARDIACSEG_PROVIDERS");
  if (chosen != nullptr && *chosen != '\0') all.emplace_back(chosen);
  all.push_back(own_folder());
  return all;
}

fs::path find_library(const std::string& flavour) {
  const std::string name = "libcardiacseg_" + flavour + ".so";
  std::string places;
  for (const fs::path& folder : folders()) {
    std::error_code ignored;
    if (fs::exists(folder / name, ignored)) return folder / name;
    places += (places.empty() ? "" : " or ") + folder.string();
  }
  throw Error(ErrorCode::backend, "wanted " + name + " in " + places + ", found none");
}

void require_same(const fs::path& library, const char* what, const std::string& wanted, const std::string& found) {
  if (wanted != found) {
    refuse(library, std::string("wanted a provider ") + what + " " + wanted + ", found one " + what + " " + found);
  }
}

}  // namespace

const std::vector<std::string>& flavours() {
  static const std::vector<std::string> all{"tensorrt", "tensorrt_rtx"};
  return all;
}

const Provider& provider(const std::string& flavour) {
  if (std::find(flavours().begin(), flavours().end(), flavour) == flavours().end()) {
    throw Error(ErrorCode::invalid_input, "flavour must be tensorrt or tensorrt_rtx, got '" + flavour + "'");
  }
  static std::mutex mutex;
  static std::map<std::string, const Provider*> opened;
  const std::lock_guard lock(mutex);
  const Provider*& entry = opened[flavour];
  if (entry == nullptr) entry = &open_provider(find_library(flavour), flavour);
  return *entry;
}

const Provider& open_provider(const fs::path& library, const std::string& flavour) {
  void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) refuse(library, "the provider cannot be loaded: " + last_loader_error());
  const auto function = reinterpret_cast<ProviderFunction>(dlsym(handle, kProviderSymbol));
  if (function == nullptr) refuse(library, std::string("wanted the function ") + kProviderSymbol + ", found none");
  const Provider* found = function();
  if (found == nullptr) refuse(library, "wanted a provider, found none");
  require_same(library, "for cardiacseg", version(), found->cardiacseg_version());
  require_same(library, "of flavour", flavour, found->flavour());
  return *found;
}

}  // namespace cardiacseg::tensorrt
