#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cardiacseg/measurements.h"
#include "measure/slice_pixels.h"

namespace cardiacseg {

/// Weight of each of `slices`: its part of the axis divided by `slice_mm`; 1 if `shares_mm` is empty.
std::vector<double> slice_weights(std::span<const double> shares_mm, std::size_t slices, double slice_mm);

/// Volumes of each frame from `pixels` [frames, slices], of `voxel_ml` each times the `weights` of their slice, over
/// the slices that count by `included` [frames, slices, 3], or over all if it is empty. By the trapezoidal rule the
/// first and the last slice that count and show the structure count half; a structure in only one slice counts whole.
std::vector<FrameVolumes> volume_curve(std::span<const StructurePixels> pixels, std::span<const std::uint8_t> included,
                                       std::span<const double> weights, double voxel_ml, EndSlices end_slices);

}  // namespace cardiacseg
