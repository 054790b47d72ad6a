#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bundle/bundle.h"

namespace cardiacseg {

inline constexpr std::string_view kManifestName = "manifest.json";

/// Largest manifest that is read, in bytes.
inline constexpr std::size_t kManifestLimit = 1 << 20;

/// A file of a bundle. `name` is a plain relative path with `/` between its parts.
struct ListedFile {
  std::string name;
  std::string sha256;  ///< 64 lower-case hexadecimal digits
  std::uint64_t bytes;
};

/// Which listed file holds which network.
struct NetworkFiles {
  std::optional<std::string> locate;
  std::string seg;
  std::optional<std::string> ref;
};

/// Content of a manifest.json that the runtime uses.
struct ManifestDocument {
  Manifest manifest;
  NetworkFiles networks;
  std::vector<ListedFile> files;
};

/// Reads the text of the manifest `where` (a path, for messages). Throws Error(bad_bundle), and nothing else, for a
/// text that is too long, not JSON, of another format version, or in which a key is missing or has an invalid value.
ManifestDocument parse_manifest(std::string_view text, const std::string& where);

}  // namespace cardiacseg
