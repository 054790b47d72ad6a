#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace cardiacseg {

/// Bytes under keys in a folder, all of which can be made anew at any time: whatever goes wrong with the folder or a
/// file of it, the bytes are just not there. Several processes may use a folder at once: files are written beside and
/// renamed, and each holds its key and a SHA-256, so that no damaged file and none for another key is taken.
class BlobStore {
 public:
  /// Where `folder` is empty nothing is kept. The files take `limit` bytes at most: those used longest ago go.
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
