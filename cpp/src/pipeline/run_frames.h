#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "bundle/bundle.h"
#include "cardiacseg/options.h"
#include "cardiacseg/segmentation.h"
#include "pipeline/temporal_presence.h"

namespace cardiacseg {

/// A result of the final sizes with the values of what is not there.
Segmentation empty_segmentation(const CineShape& shape, const RunOptions& options);

/// Tells the progress function and asks whether to go on. Throws Error(cancelled) where either says stop.
void report_progress(const RunOptions& options, std::int64_t done, std::int64_t total);

/// Throws Error(invalid_input) for a value of RunOptions::temporal that there is not.
void check_temporal(const RunOptions& options);

/// Puts presence over the beat in the place of each frame's own. Gives for each frame whether that changes a gate.
std::vector<bool> decide_presence(float threshold, Segmentation& result);

/// Calls `run_group(first, count, gating)` for all frames of `result` in groups of at most `size`; then, if presence is
/// decided over the beat (`classify`: the model has a classifier), again for groups in which that changes a gate.
template <class RunGroup>
void run_frames(std::int64_t size, const Manifest& manifest, bool classify, const RunOptions& options,
                Segmentation& result, const RunGroup& run_group) {
  const std::int64_t total = result.shape.frames;
  const auto each_group = [&](const auto& action) {
    for (std::int64_t first = 0; first < total; first += size) action(first, std::min(size, total - first));
  };
  each_group([&](std::int64_t first, std::int64_t count) {
    report_progress(options, first, total);
    run_group(first, count, Gating::classifier);
  });
  if (classify && options.temporal != "off" && total >= kFewestTemporalFrames) {
    const std::vector<bool> changed = decide_presence(manifest.presence_threshold, result);
    each_group([&](std::int64_t first, std::int64_t count) {
      const auto of_group = changed.begin() + first;
      if (std::find(of_group, of_group + count, true) == of_group + count) return;
      report_progress(options, (total - 1) / size * size, total);
      run_group(first, count, Gating::decided);
    });
  }
  report_progress(options, total, total);
}

}  // namespace cardiacseg
