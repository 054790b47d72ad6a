#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace cardiacseg {

/// Folder of this user's kept files: the value of the environment variable `variable`, else `name` in
/// $XDG_CACHE_HOME/cardiacseg or ~/.cache/cardiacseg, the first that is set; empty if none is.
std::filesystem::path user_cache_folder(const char* variable, const char* name);

/// Bytes under keys in a folder. All of them can be made again at any time, so on any error of the folder or a file the
/// bytes just count as absent. Several processes may use a folder at once: files are written beside their place and
/// renamed. Each file holds its key and a SHA-256, so that a damaged file, or one of another key, is not used.
class BlobStore {
 public:
  /// If `folder` is empty, nothing is kept. The files take at most `limit` bytes: the least recently used are removed.
  BlobStore(std::filesystem::path folder, std::uintmax_t limit);

  /// Whether there is a folder.
  bool is_on() const { return !folder_.empty(); }

  std::optional<std::string> read(const std::string& key) const noexcept;

  void write(const std::string& key, const std::string& bytes) const noexcept;

 private:
  std::filesystem::path path_of(const std::string& key) const;
  void replace(const std::string& key, const std::string& bytes) const;
  void remove_oldest() const;

  std::filesystem::path folder_;
  std::uintmax_t limit_;
};

}  // namespace cardiacseg
