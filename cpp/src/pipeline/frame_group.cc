#include "pipeline/frame_group.h"

#include <algorithm>

#include "cardiacseg/labels.h"
#include "pipeline/heart_centre.h"
#include "pipeline/part.h"
#include "pipeline/postprocess.h"

namespace cardiacseg {
FrameGroup::FrameGroup(const Stages& stages, const CineView& cine, std::int64_t frames)
    : stages_(stages),
      shape_(cine.shape),
      spacing_(cine.spacing),
      source_(cine),
      fine_grid_(resampled_grid(cine.shape, cine.spacing, stages.manifest.spacing_mm)),
      crop_size_(shape_.slices * stages.manifest.crop_pixels * stages.manifest.crop_pixels),
      windows_(static_cast<std::size_t>(frames)),
      fine_(static_cast<std::size_t>(frames * fine_grid_.voxels())) {
  crops_.resize(static_cast<std::size_t>(frames * crop_size_));
  seg_logits_.resize(kLabelCount * crops_.size());
  if (stages.ref) ref_logits_.resize(seg_logits_.size());
  if (stages.locate) {
    coarse_grid_ = resampled_grid(cine.shape, cine.spacing, stages.locate->spacing_mm());
    coarse_.resize(static_cast<std::size_t>(frames * coarse_grid_->voxels()));
    locate_buffers_.emplace(*stages.locate, *coarse_grid_, frames);
  }
}

void FrameGroup::run(std::int64_t first, std::int64_t count, Segmentation& result, StageClock& clock) {
  const std::span<float> presence = part(result.presence, first, shape_.slices * kStructureCount, count);
  clock.time("preprocess", [&] { preprocess(first, count); });
  if (stages_.locate) clock.time("locate", [&] { locate(count); });
  clock.time("preprocess", [&] { crop(count); });
  clock.time("seg", [&] { run_seg(count, presence); });
  if (stages_.ref) clock.time("ref", [&] { run_ref(count, presence); });
  for (std::int64_t index = 0; index < count; ++index) finish(index, first + index, result, clock);
}

void FrameGroup::preprocess(std::int64_t first, std::int64_t count) {
  const std::int64_t side = stages_.manifest.crop_pixels;
  const ops::Window central{crop_origin(middle(fine_grid_).row, 1.0, side),
                            crop_origin(middle(fine_grid_).column, 1.0, side), side, side};
  for (std::int64_t index = 0; index < count; ++index) {
    source_.read(first + index, stages_.manifest.percentiles);
    source_.resample_to(stages_.manifest.spacing_mm, part(fine_, index, fine_grid_.voxels()));
    if (stages_.locate) {
      source_.resample_to(stages_.locate->spacing_mm(), part(coarse_, index, coarse_grid_->voxels()));
    }
    windows_[static_cast<std::size_t>(index)] = central;
  }
}

void FrameGroup::locate(std::int64_t count) {
  std::vector<PlanePoint> centres(static_cast<std::size_t>(count));
  stages_.locate->run(part(coarse_, 0, coarse_grid_->voxels(), count), *locate_buffers_, centres);
  const std::int64_t side = stages_.manifest.crop_pixels;
  const double ratio = stages_.locate->spacing_mm() / stages_.manifest.spacing_mm;
  std::transform(centres.begin(), centres.end(), windows_.begin(), [&](const PlanePoint& centre) {
    return ops::Window{crop_origin(centre.row, ratio, side), crop_origin(centre.column, ratio, side), side, side};
  });
}

void FrameGroup::crop(std::int64_t count) {
  for (std::int64_t index = 0; index < count; ++index) {
    ops::crop_pad(part(fine_, index, fine_grid_.voxels()), fine_grid_.slices, fine_grid_.rows, fine_grid_.columns,
                  windows_[static_cast<std::size_t>(index)], part(crops_, index, crop_size_));
  }
}

std::vector<std::int64_t> FrameGroup::crop_shape(std::int64_t count, std::int64_t channels) const {
  const std::int64_t side = stages_.manifest.crop_pixels;
  return {count, shape_.slices, channels, side, side};
}

void FrameGroup::run_seg(std::int64_t count, std::span<float> presence) {
  stages_.seg.run({part(crops_, 0, crop_size_, count), crop_shape(count, 1)},
                  part(seg_logits_, 0, kLabelCount * crop_size_, count), presence);
}

void FrameGroup::run_ref(std::int64_t count, std::span<float> presence) {
  const std::int64_t size = kLabelCount * crop_size_;
  stages_.ref->run({part(seg_logits_, 0, size, count), crop_shape(count, kLabelCount)},
                   part(ref_logits_, 0, size, count), presence);
}

void FrameGroup::finish(std::int64_t index, std::int64_t frame, Segmentation& result, StageClock& clock) const {
  const std::int64_t size = kLabelCount * crop_size_;
  NetworkOutputs outputs{.seg_logits = part(seg_logits_, index, size), .ref_logits = {}, .presence = {}};
  if (stages_.ref) outputs.ref_logits = part(ref_logits_, index, size);
  if (stages_.classify()) outputs.presence = part(result.presence, frame, shape_.slices * kStructureCount);
  const ops::FusionGeometry geometry{.slices = shape_.slices,
                                     .rows = shape_.rows,
                                     .columns = shape_.columns,
                                     .row_spacing = spacing_.row,
                                     .column_spacing = spacing_.column,
                                     .target = stages_.manifest.spacing_mm,
                                     .window = windows_[static_cast<std::size_t>(index)]};
  postprocess(stages_.manifest, outputs, geometry, frame, result, clock);
}

}  // namespace cardiacseg
