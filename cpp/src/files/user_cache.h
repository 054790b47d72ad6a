#pragma once

#include <filesystem>

namespace cardiacseg {

/// Folder of this user's kept files: the value of the environment variable `variable`, else `name` in
/// $XDG_CACHE_HOME/cardiacseg or ~/.cache/cardiacseg, the first that is set; empty if none is.
std::filesystem::path user_cache_folder(const char* variable, const char* name);

}  // namespace cardiacseg
