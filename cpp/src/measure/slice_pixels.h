#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "cardiacseg/labels.h"
#include "cardiacseg/measurements.h"
#include "cardiacseg/views.h"
#include "measure/slice_pixels.h"

namespace cardiacseg {

/// Pixels of RV, myocardium and LV in one slice.
using StructurePixels = std::array<std::int64_t, kStructureCount>;

/// One slice of a label map.
struct LabelSlice {
  const std::uint8_t* data;
  std::int64_t rows;
  std::int64_t columns;
  double row_mm;
  double column_mm;

  Label at(std::int64_t row, std::int64_t column) const { return static_cast<Label>(data[row * columns + column]); }
};

inline LabelSlice slice_of(const LabelView& labels, std::int64_t frame, std::int64_t slice) {
  const auto& [frames, slices, rows, columns] = labels.shape;
  return {labels.data + (frame * slices + slice) * rows * columns, rows, columns, labels.spacing.row,
          labels.spacing.column};
}

/// The pixels of each slice of each frame, [frames, slices]. Throws Error(invalid_input) for a label above 3.
std::vector<StructurePixels> count_pixels(const LabelView& labels);

/// Whether the first of the `slices` of one stack is at the base, by the rule of the Python function
/// `metrics.slice_levels`: of the slices from the first to the last that show the heart, the third at the base shows
/// more of it. Absent if fewer than two slices show the heart.
std::optional<bool> is_base_first(std::span<const StructurePixels> slices);

/// Weight of each of `slices`: its part of the axis divided by `slice_mm`; 1 if `shares_mm` is empty.
std::vector<double> slice_weights(std::span<const double> shares_mm, std::size_t slices, double slice_mm);

/// Volumes of each frame from `pixels` [frames, slices], of `voxel_ml` each times the `weights` of their slice, over
/// the slices that count by `included` [frames, slices, 3], or over all if it is empty. By the trapezoidal rule the
/// first and the last slice that count and show the structure count half; a structure in only one slice counts whole.
std::vector<FrameVolumes> volume_curve(std::span<const StructurePixels> pixels, std::span<const std::uint8_t> included,
                                       std::span<const double> weights, double voxel_ml, EndSlices end_slices);

}  // namespace cardiacseg
