#include "files/user_cache.h"

#include <cstdlib>

namespace cardiacseg {
namespace {

const char* environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : nullptr;
}

}  // namespace

std::filesystem::path user_cache_folder(const char* variable, const char* name) {
  if (const char* folder = environment(variable)) return folder;
  if (const char* cache = environment("XDG_CACHE_HOME")) return std::filesystem::path(cache) / "cardiacseg" / name;
  if (const char* home = environment("HOME")) return std::filesystem::path(home) / ".cache/cardiacseg" / name;
  return {};
}

}  // namespace cardiacseg
