#include "pipeline/results.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <numeric>
#include <vector>

namespace cardiacseg {
namespace {

template <class T>
void copy_into(std::span<const T> from, std::span<T> to) {
  std::copy(from.begin(), from.end(), to.begin());
}

/// 1 if voxels have a structure's label in a slice, else 0.
void presence_of_counts(std::span<const std::int32_t> counts, std::span<float> presence) {
  for (std::size_t index = 0; index < presence.size(); ++index) {
    presence[index] = counts[index / kStructureCount * kLabelCount + index % kStructureCount + 1] > 0 ? 1.0F : 0.0F;
  }
}

void write_agreement(const Manifest& manifest, const Agreement& agreement, std::int64_t frame, Segmentation& result) {
  std::copy(agreement.begin(), agreement.end(), part(result.agreement, {frame, 1}, kStructureCount).begin());
  if (manifest.quality) {
    result.quality.at(static_cast<std::size_t>(frame)) = predicted_quality(*manifest.quality, agreement);
  }
}

}  // namespace

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

void collect(const Manifest& manifest, const BatchResults& found, const FrameBatch& batch, Segmentation& result) {
  const std::int64_t voxels = result.shape.voxels_per_frame();
  if (!result.labels.empty()) copy_into(found.labels, part(result.labels, batch, voxels));
  if (!result.probabilities.empty()) {
    copy_into(found.probabilities, part(result.probabilities, batch, kLabelCount * voxels));
  }
  const std::span<float> presence = part(result.presence, batch, kStructureCount * result.shape.slices);
  copy_into(found.presence, presence.first(found.presence.size()));
  if (found.presence.empty()) presence_of_counts(found.label_counts, presence);
  for (std::size_t index = 0; index < found.stage_counts.size(); ++index) {
    const std::int64_t frame = batch.first + static_cast<std::int64_t>(index);
    write_agreement(manifest, stage_agreement(found.stage_counts[index]), frame, result);
  }
}

Agreement stage_agreement(const ops::LabelCounts& counts) {
  Agreement dice;
  for (std::size_t k = 0; k < dice.size(); ++k) {
    const auto sum = static_cast<float>(std::int64_t{counts.first[k + 1]} + counts.second[k + 1]);
    dice[k] = sum > 0 ? 2.0F * static_cast<float>(counts.both[k + 1]) / sum : 1.0F;
  }
  return dice;
}

float predicted_quality(const QualityRule& rule, const Agreement& agreement) {
  const double mean = std::accumulate(agreement.begin(), agreement.end(), 0.0) / kStructureCount;
  return static_cast<float>(std::clamp(rule.intercept + rule.slope * mean, 0.0, 1.0));
}

}  // namespace cardiacseg
