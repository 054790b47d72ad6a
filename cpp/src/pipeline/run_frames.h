#pragma once

#include <algorithm>
#include <cstdint>

#include "cardiacseg/options.h"
#include "cardiacseg/segmentation.h"

namespace cardiacseg {

/// A result of the final sizes with the values of what is not there.
Segmentation empty_segmentation(const CineShape& shape, const RunOptions& options);

/// Tells the progress function and asks whether to go on. Throws Error(cancelled) where either says stop.
void report_progress(const RunOptions& options, std::int64_t done, std::int64_t total);

/// Calls `run_group(first, count)` for all of `total` frames in groups of at most `size`.
template <class RunGroup>
void run_frames(std::int64_t total, std::int64_t size, const RunOptions& options, const RunGroup& run_group) {
  report_progress(options, 0, total);
  for (std::int64_t first = 0; first < total; first += size) {
    const std::int64_t count = std::min(size, total - first);
    run_group(first, count);
    report_progress(options, first + count, total);
  }
}

}  // namespace cardiacseg
