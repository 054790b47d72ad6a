#include "pipeline/frame_group.h"

#include <algorithm>
#include <utility>

#include "cardiacseg/labels.h"
#include "ops/percentile_range.h"
#include "pipeline/part.h"
#include "pipeline/postprocess.h"

namespace cardiacseg {

FrameGroup::FrameGroup(const Stages& stages, const CineView& cine, std::int64_t frames, KeepGoing keep_going)
    : stages_(stages),
      cine_(cine),
      keep_going_(std::move(keep_going)),
      crop_{cine.shape.slices, stages.manifest.crop_pixels, stages.manifest.crop_pixels},
      fine_(cine, stages.manifest.spacing_mm),
      ranges_(static_cast<std::size_t>(frames)),
      origins_(ranges_.size(), {ops::middle_start(fine_.grid().rows, 1.0, crop_.rows),
                                ops::middle_start(fine_.grid().columns, 1.0, crop_.columns)}),
      presence_(static_cast<std::size_t>(frames * cine.shape.slices * kStructureCount)),
      crops_(static_cast<std::size_t>(frames * crop_.voxels())),
      seg_logits_(kLabelCount * crops_.size()) {
  if (stages.ref) ref_logits_.resize(seg_logits_.size());
  if (stages.locate) {
    coarse_.emplace(cine, stages.locate->spacing_mm());
    locate_buffers_.emplace(*stages.locate, coarse_->grid(), frames);
  }
  if (stages.threads != 1) prepare_ahead(frames);
}

/// While the heart is looked for.
void FrameGroup::prepare_ahead(std::int64_t frames) {
  ahead_.push_back(stages_.seg.prepare_ahead(network_shape(frames, 1)));
  if (stages_.ref) ahead_.push_back(stages_.ref->prepare_ahead(network_shape(frames, kLabelCount)));
}

void FrameGroup::run(std::int64_t first, std::int64_t count, Gating gating, Segmentation& result, StageClock& clock) {
  const std::int64_t per_frame = cine_.shape.slices * kStructureCount;
  const std::span<float> presence = part(presence_, 0, per_frame, count);
  clock.time("preprocess", [&] { preprocess(first, count); });
  if (stages_.locate) {
    const std::span<ops::CropOrigin> origins = part(origins_, 0, 1, count);
    clock.time("locate", [&] { stages_.locate->run(*locate_buffers_, origins, keep_going_); });
  }
  clock.time("preprocess", [&] { crop(first, count); });
  clock.time("seg", [&] { run_seg(count, presence); });
  if (stages_.ref) clock.time("ref", [&] { run_ref(count, presence); });
  if (gating == Gating::classifier) {
    std::copy(presence.begin(), presence.end(), part(result.presence, first, per_frame, count).begin());
  }
  for (std::int64_t index = 0; index < count; ++index) finish(index, first + index, result, clock);
}

/// Intensity ranges, and what the locator sees: the whole of each stack.
void FrameGroup::preprocess(std::int64_t first, std::int64_t count) {
  const auto [lower, upper] = stages_.manifest.percentiles;
  const ops::Pixels stacks = pixels_of(cine_, first, count);
  const std::span<ops::IntensityRange> ranges = part(ranges_, 0, 1, count);
  ops::percentile_range(stacks, lower, upper, stages_.threads, ranges);
  if (!stages_.locate) return;
  const std::vector<ops::CropOrigin> corners(ranges.size(), {0, 0});
  coarse_->run(stacks, ranges, corners, locate_buffers_->padded(), stages_.threads, locate_buffers_->input(count));
}

void FrameGroup::crop(std::int64_t first, std::int64_t count) {
  fine_.run(pixels_of(cine_, first, count), part(ranges_, 0, 1, count), part(origins_, 0, 1, count), crop_,
            stages_.threads, part(crops_, 0, crop_.voxels(), count));
}

std::vector<std::int64_t> FrameGroup::network_shape(std::int64_t count, std::int64_t channels) const {
  return {count, crop_.slices, channels, crop_.rows, crop_.columns};
}

void FrameGroup::run_seg(std::int64_t count, std::span<float> presence) {
  stages_.seg.run({part(crops_, 0, crop_.voxels(), count), network_shape(count, 1)},
                  part(seg_logits_, 0, kLabelCount * crop_.voxels(), count), presence, keep_going_);
}

void FrameGroup::run_ref(std::int64_t count, std::span<float> presence) {
  const std::int64_t size = kLabelCount * crop_.voxels();
  stages_.ref->run({part(seg_logits_, 0, size, count), network_shape(count, kLabelCount)},
                   part(ref_logits_, 0, size, count), presence, keep_going_);
}

void FrameGroup::finish(std::int64_t index, std::int64_t frame, Segmentation& result, StageClock& clock) const {
  const std::int64_t size = kLabelCount * crop_.voxels();
  NetworkOutputs outputs{.seg_logits = part(seg_logits_, index, size),
                         .ref_logits = {},
                         .presence = {},
                         .origin = origins_[static_cast<std::size_t>(index)]};
  if (stages_.ref) outputs.ref_logits = part(ref_logits_, index, size);
  if (stages_.classify()) outputs.presence = part(result.presence, frame, crop_.slices * kStructureCount);
  const ops::FusionGeometry geometry{.slices = crop_.slices,
                                     .rows = cine_.shape.rows,
                                     .columns = cine_.shape.columns,
                                     .row_spacing = cine_.spacing.row,
                                     .column_spacing = cine_.spacing.column,
                                     .target = stages_.manifest.spacing_mm,
                                     .crop_rows = crop_.rows,
                                     .crop_columns = crop_.columns};
  postprocess(stages_.manifest, outputs, geometry, stages_.threads, frame, result, clock);
}

}  // namespace cardiacseg
