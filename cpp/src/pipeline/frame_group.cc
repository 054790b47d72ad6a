#include "pipeline/frame_group.h"

#include <algorithm>
#include <array>

#include "cardiacseg/labels.h"
#include "ops/mask_fusion.h"
#include "pipeline/heart_centre.h"

namespace cardiacseg {
namespace {

/// Elements `index * size` to `(index + count) * size` of `values`.
template <class Values>
auto part(Values& values, std::int64_t index, std::int64_t size, std::int64_t count = 1) {
  return std::span(values).subspan(static_cast<std::size_t>(index * size), static_cast<std::size_t>(count * size));
}

void presence_of_labels(std::span<const std::uint8_t> labels, std::span<float> presence) {
  const std::size_t plane = labels.size() / (presence.size() / kStructureCount);
  std::fill(presence.begin(), presence.end(), 0.0F);
  for (std::size_t index = 0; index < labels.size(); ++index) {
    if (labels[index] > 0) presence[index / plane * kStructureCount + labels[index] - 1U] = 1.0F;
  }
}

}  // namespace

FrameGroup::FrameGroup(const Stages& stages, const CineView& cine, std::int64_t frames)
    : stages_(stages),
      shape_(cine.shape),
      spacing_(cine.spacing),
      source_(cine),
      fine_grid_(resampled_grid(cine.shape, cine.spacing, stages.manifest.spacing_mm)),
      windows_(static_cast<std::size_t>(frames)),
      fine_(static_cast<std::size_t>(frames * fine_grid_.voxels())) {
  const std::int64_t side = stages.manifest.crop_pixels;
  crops_.resize(static_cast<std::size_t>(frames * shape_.slices * side * side));
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
  const std::span<std::uint8_t> labels = part(result.labels, first, shape_.voxels_per_frame(), count);
  clock.time("preprocess", [&] { preprocess(first, count); });
  if (stages_.locate) clock.time("locate", [&] { locate(count); });
  clock.time("preprocess", [&] { crop(count); });
  clock.time("seg", [&] { run_seg(count); });
  if (stages_.ref) clock.time("ref", [&] { run_ref(count, presence); });
  clock.time("fusion", [&] {
    fuse(stages_.ref ? presence : std::span<float>(), labels);
    if (!stages_.ref) presence_of_labels(labels, presence);
  });
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
  const std::int64_t crop_size = shape_.slices * stages_.manifest.crop_pixels * stages_.manifest.crop_pixels;
  for (std::int64_t index = 0; index < count; ++index) {
    ops::crop_pad(part(fine_, index, fine_grid_.voxels()), fine_grid_.slices, fine_grid_.rows, fine_grid_.columns,
                  windows_[static_cast<std::size_t>(index)], part(crops_, index, crop_size));
  }
}

std::vector<std::int64_t> FrameGroup::crop_shape(std::int64_t count, std::int64_t channels) const {
  const std::int64_t side = stages_.manifest.crop_pixels;
  return {count, shape_.slices, channels, side, side};
}

void FrameGroup::run_seg(std::int64_t count) {
  const auto size = static_cast<std::int64_t>(crops_.size() / windows_.size());
  stages_.seg->run(
      {part(crops_, 0, size, count), crop_shape(count, 1)},
      std::array{MutableTensorView{part(seg_logits_, 0, kLabelCount * size, count), crop_shape(count, kLabelCount)}});
}

void FrameGroup::run_ref(std::int64_t count, std::span<float> presence) {
  const auto size = static_cast<std::int64_t>(seg_logits_.size() / windows_.size());
  const std::vector<std::int64_t> shape = crop_shape(count, kLabelCount);
  stages_.ref->run({part(seg_logits_, 0, size, count), shape},
                   std::array{MutableTensorView{part(ref_logits_, 0, size, count), shape},
                              MutableTensorView{presence, {count, shape_.slices, kStructureCount}}});
}

void FrameGroup::fuse(std::span<const float> presence, std::span<std::uint8_t> labels) const {
  const std::vector<float>& logits = stages_.ref ? ref_logits_ : seg_logits_;
  const auto logits_size = static_cast<std::int64_t>(logits.size() / windows_.size());
  const std::int64_t presence_size = presence.empty() ? 0 : shape_.slices * kStructureCount;
  const std::int64_t count = static_cast<std::int64_t>(labels.size()) / shape_.voxels_per_frame();
  for (std::int64_t index = 0; index < count; ++index) {
    const ops::FusionGeometry geometry{.slices = shape_.slices,
                                       .rows = shape_.rows,
                                       .columns = shape_.columns,
                                       .row_spacing = spacing_.row,
                                       .column_spacing = spacing_.column,
                                       .target = stages_.manifest.spacing_mm,
                                       .window = windows_[static_cast<std::size_t>(index)]};
    ops::mask_fusion(part(logits, index, logits_size), part(presence, index, presence_size),
                     stages_.manifest.presence_threshold, geometry, part(labels, index, shape_.voxels_per_frame()));
  }
}

}  // namespace cardiacseg
