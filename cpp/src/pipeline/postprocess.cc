#include "pipeline/postprocess.h"

#include <algorithm>
#include <cstddef>

#include "cardiacseg/labels.h"
#include "ops/clean_up.h"
#include "ops/stage_counts.h"
#include "pipeline/part.h"

namespace cardiacseg {
namespace {

void presence_of_labels(std::span<const std::uint8_t> labels, std::span<float> presence) {
  const std::size_t plane = labels.size() / (presence.size() / kStructureCount);
  std::fill(presence.begin(), presence.end(), 0.0F);
  for (std::size_t index = 0; index < labels.size(); ++index) {
    if (labels[index] > 0) presence[index / plane * kStructureCount + labels[index] - 1U] = 1.0F;
  }
}

void fuse(const Manifest& manifest, const NetworkOutputs& outputs, const ops::FusionGeometry& geometry, int threads,
          std::int64_t frame, Segmentation& result) {
  const std::int64_t voxels = result.shape.voxels_per_frame();
  const std::span<std::uint8_t> labels = part(result.labels, frame, voxels);
  std::span<float> probabilities;
  if (!result.probabilities.empty()) probabilities = part(result.probabilities, frame, kLabelCount * voxels);
  ops::mask_fusion(outputs.ref_logits.empty() ? outputs.seg_logits : outputs.ref_logits, outputs.presence,
                   {&outputs.origin, 1}, {manifest.presence_threshold, manifest.temperature}, geometry,
                   {.labels = labels, .probabilities = probabilities}, threads);
  if (outputs.presence.empty()) {
    presence_of_labels(labels, part(result.presence, frame, result.shape.slices * kStructureCount));
  }
}

void compare_stages(const Manifest& manifest, const NetworkOutputs& outputs, const ops::FusionGeometry& geometry,
                    int threads, std::int64_t frame, Segmentation& result) {
  ops::LabelCounts counts{};
  ops::stage_counts(outputs.seg_logits, outputs.ref_logits, outputs.presence, manifest.presence_threshold,
                    {1, geometry.slices, geometry.crop_rows, geometry.crop_columns}, {&counts, 1}, threads);
  write_agreement(manifest, stage_agreement(counts), frame, result);
}

}  // namespace

void write_agreement(const Manifest& manifest, const Agreement& agreement, std::int64_t frame, Segmentation& result) {
  std::copy(agreement.begin(), agreement.end(), part(result.agreement, frame, kStructureCount).begin());
  if (manifest.quality) {
    result.quality.at(static_cast<std::size_t>(frame)) = predicted_quality(*manifest.quality, agreement);
  }
}

void postprocess(const Manifest& manifest, const NetworkOutputs& outputs, const ops::FusionGeometry& geometry,
                 int threads, std::int64_t frame, Segmentation& result, StageClock& clock) {
  const CineShape& shape = result.shape;
  clock.time("fusion", [&] { fuse(manifest, outputs, geometry, threads, frame, result); });
  if (manifest.clean_up) {
    clock.time("clean_up", [&] {
      ops::clean_up(part(result.labels, frame, shape.voxels_per_frame()), shape.slices, shape.rows, shape.columns,
                    threads);
    });
  }
  if (!outputs.ref_logits.empty()) {
    clock.time("agreement", [&] { compare_stages(manifest, outputs, geometry, threads, frame, result); });
  }
}

}  // namespace cardiacseg
