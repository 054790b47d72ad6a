#include "files/blob_store.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <ios>
#include <random>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include "files/sha256.h"

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

namespace {

namespace fs = std::filesystem;

constexpr const char* kSuffix = ".blob";
constexpr const char* kUnfinished = ".part";

/// Age at which an unfinished file belongs to no running process.
constexpr std::chrono::hours kAbandoned{1};

/// First line of a file; the key and the bytes follow.
constexpr const char* kFormat = "cardiacseg-blob-1";

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

std::string digest_of(const std::string& key, const std::string& bytes) {
  Sha256 hash;
  hash.update(bytes_of(key));
  hash.update(bytes_of(bytes));
  return hash.digest();
}

/// The next `size` bytes; empty if there are fewer.
std::string read_part(std::ifstream& stream, std::size_t size) {
  std::string text(size, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(size));
  if (!stream) text.clear();
  return text;
}

std::optional<std::string> read_file(const fs::path& path, const std::string& key) {
  std::ifstream stream(path, std::ios::binary);
  std::string format;
  std::string digest;
  std::uintmax_t size = 0;
  if (!(stream >> format >> digest >> size) || format != kFormat || stream.get() != '\n') return std::nullopt;
  const auto start = static_cast<std::uintmax_t>(stream.tellg());
  if (fs::file_size(path) != start + key.size() + size) return std::nullopt;
  if (read_part(stream, key.size()) != key) return std::nullopt;
  std::string bytes = read_part(stream, static_cast<std::size_t>(size));
  if (digest_of(key, bytes) != digest) return std::nullopt;
  return bytes;
}

void write_file(const fs::path& path, const std::string& key, const std::string& bytes) {
  std::ofstream stream;
  stream.exceptions(std::ios::failbit | std::ios::badbit);
  stream.open(path, std::ios::binary | std::ios::trunc);
  stream << kFormat << ' ' << digest_of(key, bytes) << ' ' << bytes.size() << '\n' << key << bytes;
  stream.close();
}

void make_folder(const fs::path& folder) {
  if (fs::is_directory(folder)) return;
  fs::create_directories(folder);
  fs::permissions(folder, fs::perms::owner_all);
}

struct File {
  fs::file_time_type used;
  std::uintmax_t size;
  fs::path path;
};

}  // namespace

BlobStore::BlobStore(fs::path folder, std::uintmax_t limit) : folder_(std::move(folder)), limit_(limit) {}

fs::path BlobStore::path_of(const std::string& key) const {
  return folder_ / (sha256(bytes_of(key)).substr(0, 32) + kSuffix);
}

std::optional<std::string> BlobStore::read(const std::string& key) const noexcept {
  if (!is_on()) return std::nullopt;
  try {
    const fs::path path = path_of(key);
    std::optional<std::string> bytes = read_file(path, key);
    std::error_code unimportant;
    if (bytes) fs::last_write_time(path, fs::file_time_type::clock::now(), unimportant);
    return bytes;
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

void BlobStore::write(const std::string& key, const std::string& bytes) const noexcept {
  if (!is_on() || bytes.size() > limit_) return;
  try {
    make_folder(folder_);
    replace(key, bytes);
    remove_oldest();
  } catch (const std::exception&) {
    // the bytes will be made again
  }
}

void BlobStore::replace(const std::string& key, const std::string& bytes) const {
  const fs::path path = path_of(key);
  std::random_device random;
  fs::path beside = path;
  beside += std::to_string(random());
  beside += std::to_string(random());
  beside += kUnfinished;
  try {
    write_file(beside, key, bytes);
    fs::rename(beside, path);
  } catch (const std::exception&) {
    std::error_code unimportant;
    fs::remove(beside, unimportant);
    throw;
  }
}

/// Another process may do the same at this moment: a file that disappeared is not an error.
void BlobStore::remove_oldest() const {
  std::vector<File> files;
  std::uintmax_t total = 0;
  std::error_code gone;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_)) {
    const fs::path& path = entry.path();
    if (path.extension() != kSuffix && path.extension() != kUnfinished) continue;
    File file{fs::last_write_time(path, gone), 0, path};
    if (!gone) file.size = fs::file_size(path, gone);
    if (gone) continue;
    if (path.extension() == kUnfinished) {
      if (fs::file_time_type::clock::now() - file.used > kAbandoned) fs::remove(path, gone);
      continue;
    }
    total += file.size;
    files.push_back(std::move(file));
  }
  std::sort(files.begin(), files.end(), [](const File& one, const File& other) { return one.used < other.used; });
  for (const File& file : files) {
    if (total <= limit_) return;
    fs::remove(file.path, gone);
    total -= file.size;
  }
}

}  // namespace cardiacseg
