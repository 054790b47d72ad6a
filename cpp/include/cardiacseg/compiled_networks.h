#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace cardiacseg {

/// Most bytes of all networks of one segmenter on the CPU, compiled for the most recently used shapes, with their
/// working memory. One run may need more: the latest shape of each network always stays.
inline constexpr std::int64_t kCompiledBytes = std::int64_t{768} << 20;

/// Most bytes of the files of compiled networks on disk. The least recently used files are removed.
inline constexpr std::int64_t kCacheBytes = std::int64_t{512} << 20;

/// Folder that keeps networks compiled on the CPU for later processes. `requested` is as in SegmenterOptions::cache.
/// Empty if none are kept.
[[gnu::visibility("default")]] std::filesystem::path compiled_networks_folder(const std::filesystem::path& requested);

}  // namespace cardiacseg
