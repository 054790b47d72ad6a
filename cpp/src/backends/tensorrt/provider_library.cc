#include "backends/tensorrt/provider_library.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <mutex>
#include <system_error>

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

fs::path find_library(const std::string& flavor) {
  const std::string name = "libcardiacseg_" + flavor + ".so";
  std::string places;
  for (const fs::path& folder : folders()) {
    std::error_code ignored;
    if (fs::exists(folder / name, ignored)) return folder / name;
    places += (places.empty() ? "" : " or ") + folder.string();
  }
  throw Error(ErrorCode::backend, "expected " + name + " in " + places + ", got none");
}

struct KnownProvider {
  const Provider* provider = nullptr;
  fs::path library;
};

/// Opened by the first call.
const KnownProvider& known_provider(const std::string& flavor) {
  if (std::find(flavors().begin(), flavors().end(), flavor) == flavors().end()) {
    throw Error(ErrorCode::invalid_input, "flavour must be tensorrt or tensorrt_rtx, got '" + flavor + "'");
  }
  static std::mutex mutex;
  static std::map<std::string, KnownProvider> all;
  const std::lock_guard lock(mutex);
  KnownProvider& entry = all[flavor];
  if (entry.provider == nullptr) {
    entry.library = find_library(flavor);
    entry.provider = &open_provider(entry.library, flavor);
  }
  return entry;
}

}  // namespace

const std::vector<std::string>& flavors() {
  static const std::vector<std::string> all{"tensorrt", "tensorrt_rtx"};
  return all;
}

const Provider& provider(const std::string& flavor) { return *known_provider(flavor).provider; }

fs::path provider_path(const std::string& flavor) { return known_provider(flavor).library; }

const Provider& open_provider(const fs::path& library, const std::string& flavor) {
  void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) refuse(library, "the provider cannot be loaded: " + last_loader_error());
  const auto open = reinterpret_cast<OpenProvider>(dlsym(handle, kProviderSymbol));
  if (open == nullptr) refuse(library, std::string("expected the function ") + kProviderSymbol + ", got none");
  const Provider* found = nullptr;
  const std::uint32_t interface_version = open(kInterfaceVersion, &found);
  if (interface_version != kInterfaceVersion || found == nullptr) {
    refuse(library, "expected a provider of interface version " + std::to_string(kInterfaceVersion) + ", got one of " +
                        std::to_string(interface_version) + "; install both from one build");
  }
  const std::string of = found->facts().flavor;
  if (of != flavor) refuse(library, "expected a provider of flavor " + flavor + ", got one of flavor " + of);
  return *found;
}

}  // namespace cardiacseg::tensorrt
