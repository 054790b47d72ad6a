#include "bundle/bundle.h"

#include <algorithm>
#include <fstream>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

#include "bundle/external_data.h"
#include "bundle/manifest.h"
#include "cardiacseg/error.h"
#include "files/sha256.h"

namespace cardiacseg {
namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<std::byte>;

/// Bytes that are read and hashed at a time.
constexpr std::size_t kBlock = 1 << 20;

[[noreturn]] void refuse(ErrorCode code, const fs::path& path, const std::string& message) {
  throw Error(code, path.string() + ": " + message);
}

/// `path` with all links followed.
fs::path resolve(const fs::path& path, const std::string& expected) {
  std::error_code failure;
  fs::path real = fs::canonical(path, failure);
  if (path.empty() || failure == std::errc::no_such_file_or_directory || failure == std::errc::not_a_directory) {
    refuse(ErrorCode::not_found, path, "expected " + expected + ", got nothing");
  }
  if (failure) refuse(ErrorCode::bad_bundle, path, "expected " + expected + ", got: " + failure.message());
  return real;
}

/// The regular file `name` of the bundle in `root` (links followed), which must lie in `root` itself.
fs::path resolve_file(const fs::path& root, const std::string& name) {
  const fs::path path = root / name;
  const fs::path real = resolve(path, "a file of the bundle");
  const auto [end, unused] = std::mismatch(root.begin(), root.end(), real.begin(), real.end());
  if (end != root.end())
    refuse(ErrorCode::bad_bundle, path, "expected a file in the bundle's folder, got a link to outside");
  std::error_code failure;
  if (!fs::is_regular_file(real, failure))
    refuse(ErrorCode::bad_bundle, path, "expected a regular file, got another kind");
  return real;
}

std::uintmax_t size_of_file(const fs::path& path) {
  std::error_code failure;
  const std::uintmax_t size = fs::file_size(path, failure);
  if (failure) refuse(ErrorCode::bad_bundle, path, "expected a file that can be read, got: " + failure.message());
  return size;
}

/// SHA-256 of a file and, if they are kept, its bytes.
struct Content {
  Bytes bytes;
  std::string digest;
};

Content read_content(const fs::path& path, std::uintmax_t size, bool keep) {
  const auto bytes = static_cast<std::size_t>(size);
  Bytes room(keep ? bytes : std::min(bytes, kBlock));
  Sha256 hash;
  std::ifstream stream(path, std::ios::binary);
  for (std::size_t at = 0; at < bytes; at += kBlock) {
    const std::span<std::byte> block = std::span(room).subspan(keep ? at : 0, std::min(kBlock, bytes - at));
    stream.read(reinterpret_cast<char*>(block.data()), static_cast<std::streamsize>(block.size()));
    if (!stream) {
      refuse(ErrorCode::bad_bundle, path,
             "expected " + std::to_string(bytes) + " bytes, got a file that cannot be read to its end");
    }
    hash.update(block);
  }
  if (!keep) room.clear();
  return {std::move(room), hash.digest()};
}

Content read_manifest(const fs::path& root) {
  const fs::path path = resolve_file(root, std::string(kManifestName));
  const std::uintmax_t size = size_of_file(path);
  if (size > kManifestLimit) {
    refuse(ErrorCode::bad_bundle, path,
           "expected at most " + std::to_string(kManifestLimit) + " bytes, got " + std::to_string(size));
  }
  return read_content(path, size, true);
}

/// Checks a listed file. Returns its bytes if it is a network.
Bytes read_listed(const fs::path& root, const ListedFile& file, bool network) {
  const fs::path path = resolve_file(root, file.name);
  const std::uintmax_t size = size_of_file(path);
  if (size != file.bytes) {
    refuse(ErrorCode::bad_bundle, path,
           "expected " + std::to_string(file.bytes) + " bytes as the manifest says, got " + std::to_string(size));
  }
  Content content = read_content(path, size, network);
  if (content.digest != file.sha256) {
    refuse(ErrorCode::bad_bundle, path,
           "expected SHA-256 " + file.sha256 + " as the manifest says, got " + content.digest);
  }
  if (network && has_external_data(content.bytes)) {
    refuse(ErrorCode::bad_bundle, path,
           "expected all weights inside the file, got a tensor whose values lie in another file (ONNX external data)");
  }
  return std::move(content.bytes);
}

}  // namespace

Bundle read_bundle(const std::filesystem::path& folder) {
  const fs::path root = resolve(folder, "a bundle's folder");
  const Content text = read_manifest(root);
  const ManifestDocument document = parse_manifest(
      {reinterpret_cast<const char*>(text.bytes.data()), text.bytes.size()}, (root / kManifestName).string());
  const NetworkFiles& networks = document.networks;
  Bundle bundle{document.manifest, text.digest, std::nullopt, {}, std::nullopt};
  for (const ListedFile& file : document.files) {
    const bool seg = file.name == networks.seg;
    const bool locate = file.name == networks.locate;
    const bool ref = file.name == networks.ref;
    Bytes bytes = read_listed(root, file, seg || locate || ref);
    if (locate) bundle.locate = bytes;
    if (ref) bundle.ref = bytes;
    if (seg) bundle.seg = std::move(bytes);
  }
  return bundle;
}

}  // namespace cardiacseg
