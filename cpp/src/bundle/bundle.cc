#include "bundle/bundle.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <string_view>
#include <system_error>
#include <utility>

#include "bundle/manifest.h"
#include "cardiacseg/error.h"
#include "files/sha256.h"

namespace cardiacseg {
namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<std::byte>;

[[noreturn]] void refuse(ErrorCode code, const fs::path& path, const std::string& message) {
  throw Error(code, path.string() + ": " + message);
}

/// `path` with all links followed.
fs::path resolve(const fs::path& path, const std::string& wanted) {
  std::error_code failure;
  fs::path real = fs::canonical(path, failure);
  if (path.empty() || failure == std::errc::no_such_file_or_directory || failure == std::errc::not_a_directory) {
    refuse(ErrorCode::not_found, path, "wanted " + wanted + ", found nothing");
  }
  if (failure) refuse(ErrorCode::bad_bundle, path, "wanted " + wanted + ", found: " + failure.message());
  return real;
}

/// The regular file `name` of the bundle in `root` (links followed), which must lie in `root` itself.
fs::path resolve_file(const fs::path& root, const std::string& name) {
  const fs::path path = root / name;
  const fs::path real = resolve(path, "a file of the bundle");
  const auto [end, unused] = std::mismatch(root.begin(), root.end(), real.begin(), real.end());
  if (end != root.end()) refuse(ErrorCode::bad_bundle, path, "wanted a file in the bundle's folder, found a link out");
  std::error_code failure;
  if (!fs::is_regular_file(real, failure)) refuse(ErrorCode::bad_bundle, path, "wanted a regular file, found another");
  return real;
}

std::uintmax_t size_of_file(const fs::path& path) {
  std::error_code failure;
  const std::uintmax_t size = fs::file_size(path, failure);
  if (failure) refuse(ErrorCode::bad_bundle, path, "wanted a file that can be read, found: " + failure.message());
  return size;
}

Bytes read_bytes(const fs::path& path, std::uintmax_t size) {
  Bytes bytes(static_cast<std::size_t>(size));
  std::ifstream stream(path, std::ios::binary);
  stream.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size));
  if (!stream) {
    refuse(ErrorCode::bad_bundle, path, "wanted " + std::to_string(size) + " bytes, but they cannot be read");
  }
  return bytes;
}

Bytes read_manifest(const fs::path& root) {
  const fs::path path = resolve_file(root, std::string(kManifestName));
  const std::uintmax_t size = size_of_file(path);
  if (size > kManifestLimit) {
    refuse(ErrorCode::bad_bundle, path,
           "wanted at most " + std::to_string(kManifestLimit) + " bytes, found " + std::to_string(size));
  }
  return read_bytes(path, size);
}

Bytes read_listed(const fs::path& root, const ListedFile& file) {
  const fs::path path = resolve_file(root, file.name);
  const std::uintmax_t size = size_of_file(path);
  if (size != file.bytes) {
    refuse(ErrorCode::bad_bundle, path,
           "wanted " + std::to_string(file.bytes) + " bytes as the manifest says, found " + std::to_string(size));
  }
  Bytes bytes = read_bytes(path, size);
  const std::string digest = sha256(bytes);
  if (digest != file.sha256) {
    refuse(ErrorCode::bad_bundle, path, "wanted SHA-256 " + file.sha256 + " as the manifest says, found " + digest);
  }
  return bytes;
}

}  // namespace

Bundle read_bundle(const std::filesystem::path& folder) {
  const fs::path root = resolve(folder, "a bundle's folder");
  const Bytes text = read_manifest(root);
  const ManifestDocument document =
      parse_manifest({reinterpret_cast<const char*>(text.data()), text.size()}, (root / kManifestName).string());
  std::map<std::string, Bytes> contents;
  for (const ListedFile& file : document.files) contents[file.name] = read_listed(root, file);

  const NetworkFiles& networks = document.networks;
  Bundle bundle{document.manifest, sha256(text), std::nullopt, contents[networks.seg], std::nullopt};
  if (networks.locate) bundle.locate = contents[*networks.locate];
  if (networks.ref) bundle.ref = contents[*networks.ref];
  return bundle;
}

}  // namespace cardiacseg
