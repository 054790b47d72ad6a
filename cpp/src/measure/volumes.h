#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cardiacseg/measurements.h"
#include "measure/slice_pixels.h"

namespace cardiacseg {

/// How many even slices, `slice_mm` apart, each of `slices` stands for, by its share of the axis; 1 without shares.
std::vector<double> slice_weights(std::span<const double> shares_mm, std::size_t slices, double slice_mm);

/// Volumes of each frame from `pixels` [frames, slices], of `voxel_ml` each times the `weights` of their slice, over
/// the slices that `included` [frames, slices, 3] has, all where it is empty. By the trapezoidal rule the first and the
/// last slice of those that count and show the structure count half; a structure in one slice alone counts whole.
std::vector<FrameVolumes> volume_curve(std::span<const StructurePixels> pixels, std::span<const std::uint8_t> included,
                                       std::span<const double> weights, double voxel_ml, EndSlices end_slices);

}  // namespace cardiacseg
