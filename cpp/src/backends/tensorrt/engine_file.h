#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "cardiacseg/engines.h"

/// An engine on disk: "CSEGENG\n", format version and length of the header (32 bits each, little-endian), the header
/// (an EngineInfo as JSON, padded with spaces), the plan that TensorRT wrote. Files are written beside and renamed, so
/// that a reader never sees a part of one. Everything throws Error(backend), with the path.
namespace cardiacseg::tensorrt {

/// Newest format that is read, and the one that is written.
inline constexpr unsigned kEngineFormatVersion = 1;

struct EngineFile {
  EngineInfo info;
  std::vector<std::byte> plan;
};

/// The header alone; that the file is as long as it says is checked, the plan's digest is not.
EngineInfo read_engine_header(const std::filesystem::path& path);

/// All of it, the plan's digest checked.
EngineFile read_engine_file(const std::filesystem::path& path);

/// Writes `plan` under `info`, whose plan_bytes and plan_sha256 are taken from it, and gives the header as written. The
/// folder is made where it is missing.
EngineInfo write_engine_file(const std::filesystem::path& path, EngineInfo info, std::span<const std::byte> plan);

/// Adds `gpu` to the header's verified_on.
void note_verified(const std::filesystem::path& path, const std::string& gpu);

}  // namespace cardiacseg::tensorrt
