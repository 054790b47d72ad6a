#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace cardiacseg {

/// Bytes that the networks of one segmenter on the CPU may take together, compiled for the shapes used last and with
/// their working memory. One run may need more: the latest shape of each network stays in any case.
inline constexpr std::int64_t kCompiledBytes = std::int64_t{768} << 20;

/// Bytes that the files of compiled networks may take on disk. Those used longest ago are removed.
inline constexpr std::int64_t kCacheBytes = std::int64_t{512} << 20;

/// Folder where networks that were compiled on the CPU are kept for later processes. `wanted` is as in
/// SegmenterOptions::cache; empty if none are kept.
[[gnu::visibility("default")]] std::filesystem::path compiled_networks_folder(const std::filesystem::path& wanted);

}  // namespace cardiacseg
