#include "backends/tensorrt/engine_file.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <fstream>
#include <string_view>
#include <system_error>
#include <utility>

#include "cardiacseg/error.h"
#include "files/sha256.h"

namespace cardiacseg::tensorrt {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMagic = "CSEGENG\n";
constexpr std::size_t kPrefixBytes = kMagic.size() + 8;
/// The plan starts at a multiple of this, so that a longer list of verified_on rarely moves it.
constexpr std::size_t kAlignment = 4096;

[[noreturn]] void refuse(const fs::path& path, const std::string& message) {
  throw Error(ErrorCode::backend, path.string() + ": " + message);
}

std::string encoded(std::uint32_t value) {
  std::string bytes;
  for (unsigned shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(value >> shift & 0xffU);
  return bytes;
}

std::uint32_t decoded(std::string_view bytes) {
  std::uint32_t value = 0;
  for (unsigned i = 0; i < 4; ++i) value |= static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i])) << 8 * i;
  return value;
}

/// The bytes before the plan.
std::string prefix_and_header(const EngineInfo& info) {
  std::string header = header_text(info);
  const std::size_t end = kPrefixBytes + header.size();
  header.append((end + kAlignment - 1) / kAlignment * kAlignment - end, ' ');
  const auto length = static_cast<std::uint32_t>(header.size());
  return std::string(kMagic) + encoded(kEngineFormatVersion) + encoded(length) + header;
}

/// An engine file that is read from its start on.
class Reader {
 public:
  explicit Reader(const fs::path& path) : path_(path) {
    std::error_code failure;
    static_cast<void>(fs::file_size(path, failure));  // what has no size is not to be opened
    if (failure) refuse(path, "expected an engine file, got: " + failure.message());
    stream_.open(path, std::ios::binary | std::ios::ate);
    const std::streamoff size = stream_.tellg();  // of what was opened: another file may take its name at any time
    if (size < 0) refuse(path, "expected an engine file, got one that cannot be read");
    left_ = static_cast<std::uintmax_t>(size);
    stream_.seekg(0);
  }

  std::uintmax_t left() const { return left_; }

  /// The next `size` bytes, which are `what`.
  void read(char* bytes, std::uintmax_t size, const char* what) {
    if (size > left_) {
      refuse(path_, "expected " + std::to_string(size) + " bytes of " + what + ", got " + std::to_string(left_) +
                        "; the file is truncated");
    }
    stream_.read(bytes, static_cast<std::streamsize>(size));
    if (!stream_) refuse(path_, std::string("expected ") + what + ", got a read error");
    left_ -= size;
  }

 private:
  fs::path path_;
  std::ifstream stream_;
  std::uintmax_t left_ = 0;
};

/// Checks magic and format, and gives the header's length.
std::uint32_t read_prefix(Reader& reader, const fs::path& path) {
  std::array<char, kPrefixBytes> bytes{};
  reader.read(bytes.data(), bytes.size(), "an engine file's start");
  const std::string_view prefix(bytes.data(), bytes.size());
  if (!prefix.starts_with(kMagic)) refuse(path, "expected an engine file of cardiacseg, got another kind of file");
  const std::uint32_t format = decoded(prefix.substr(kMagic.size()));
  if (format != kEngineFormatVersion) {
    refuse(path, "expected format " + std::to_string(kEngineFormatVersion) +
                     ", the one that this library reads, got format " + std::to_string(format));
  }
  return decoded(prefix.substr(kMagic.size() + 4));
}

EngineInfo read_header(Reader& reader, const fs::path& path) {
  const std::uint32_t length = read_prefix(reader, path);
  if (length > kHeaderLimit) {
    refuse(path,
           "expected a header of at most " + std::to_string(kHeaderLimit) + " bytes, got " + std::to_string(length));
  }
  std::string text(length, '\0');
  reader.read(text.data(), length, "a header");
  EngineInfo info = parse_header(text, path.string());
  if (reader.left() != info.plan_bytes) {
    refuse(path, "expected a plan of " + std::to_string(info.plan_bytes) + " bytes as the header says, got " +
                     std::to_string(reader.left()));
  }
  return info;
}

/// A file that takes its name when it is complete, and is removed if it is not completed.
class NewFile {
 public:
  explicit NewFile(const fs::path& path) : path_(path), beside_(path) {
    static std::atomic<unsigned> number{0};
    beside_ += std::string(".") + std::to_string(::getpid()) + "-" + std::to_string(number++) + ".part";
    stream_.open(beside_, std::ios::binary | std::ios::trunc);
  }

  ~NewFile() {
    std::error_code ignored;
    fs::remove(beside_, ignored);
  }

  void write(const char* bytes, std::size_t size) { stream_.write(bytes, static_cast<std::streamsize>(size)); }

  void keep() {
    stream_.close();
    std::error_code failure;
    if (stream_) fs::rename(beside_, path_, failure);
    if (!stream_ || failure) {
      const std::string why = failure ? ": " + failure.message() : "; is there space, and may the folder be written?";
      refuse(path_, "the engine file could not be written" + why);
    }
  }

 private:
  fs::path path_;
  fs::path beside_;
  std::ofstream stream_;
};

}  // namespace

EngineInfo read_engine_header(const fs::path& path) {
  Reader reader(path);
  return read_header(reader, path);
}

EngineArtifact read_engine_file(const fs::path& path) {
  Reader reader(path);
  EngineArtifact file{path, read_header(reader, path), {}};
  file.plan.resize(file.info.plan_bytes);
  reader.read(reinterpret_cast<char*>(file.plan.data()), file.plan.size(), "a plan");
  const std::string digest = sha256(file.plan);
  if (digest != file.info.plan_sha256) {
    refuse(path, "expected a plan of SHA-256 " + file.info.plan_sha256 + " as the header says, got " + digest);
  }
  return file;
}

EngineInfo write_engine_file(const fs::path& path, EngineInfo info, std::span<const std::byte> plan) {
  info.plan_bytes = plan.size();
  info.plan_sha256 = sha256(plan);
  std::error_code ignored;  // what it means shows when the file is written
  fs::create_directories(path.parent_path(), ignored);
  NewFile file(path);
  const std::string start = prefix_and_header(info);
  file.write(start.data(), start.size());
  file.write(reinterpret_cast<const char*>(plan.data()), plan.size());
  file.keep();
  return info;
}

void note_verified(const fs::path& path, const std::string& gpu) {
  EngineArtifact file = read_engine_file(path);
  std::vector<std::string>& names = file.info.verified_on;
  if (std::find(names.begin(), names.end(), gpu) != names.end()) return;
  names.push_back(gpu);
  write_engine_file(path, std::move(file.info), file.plan);
}

}  // namespace cardiacseg::tensorrt
