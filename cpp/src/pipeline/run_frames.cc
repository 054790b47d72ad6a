#include "pipeline/run_frames.h"

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "cardiacseg/error.h"
#include "cardiacseg/labels.h"

namespace cardiacseg {

Segmentation empty_segmentation(const CineShape& shape, const RunOptions& options) {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  const auto voxels = static_cast<std::size_t>(shape.voxels());
  const auto frames = static_cast<std::size_t>(shape.frames);
  return {.shape = shape,
          .labels = std::vector<std::uint8_t>(options.device_labels ? 0 : voxels),
          .device_labels = nullptr,
          .presence = std::vector<float>(static_cast<std::size_t>(shape.frames * shape.slices * kStructureCount)),
          .probabilities = std::vector<float>(options.probabilities ? kLabelCount * voxels : 0),
          .agreement = std::vector<float>(kStructureCount * frames, nan),
          .quality = std::vector<float>(frames, nan),
          .warnings = {},
          .report = {}};
}

void report_progress(const RunOptions& options, std::int64_t done, std::int64_t total) {
  const auto stop = [&](const std::string& who) {
    throw Error(ErrorCode::cancelled,
                who + " stopped the run after " + std::to_string(done) + " of " + std::to_string(total) + " frames");
  };
  if (options.progress && !options.progress(done, total)) stop("the progress function");
  if (options.keep_going && !options.keep_going()) stop("the caller");
}

void check_temporal(const RunOptions& options) {
  if (options.temporal == "auto" || options.temporal == "off") return;
  throw Error(ErrorCode::invalid_input, "temporal: expected \"auto\" or \"off\", got \"" + options.temporal + "\"");
}

std::vector<bool> decide_presence(float threshold, Segmentation& result) {
  const std::vector<float> own =
      std::exchange(result.presence, temporal_presence(result.presence, result.shape.slices, threshold));
  const std::size_t per_frame = own.size() / static_cast<std::size_t>(result.shape.frames);
  std::vector<bool> changed(static_cast<std::size_t>(result.shape.frames));
  for (std::size_t index = 0; index < own.size(); ++index) {
    if ((own[index] > threshold) == (result.presence[index] > threshold)) continue;
    changed[index / per_frame] = true;
    ++result.report.presence_changes;
  }
  result.report.temporal = true;
  return changed;
}

}  // namespace cardiacseg
