#include "measure/volumes.h"

namespace cardiacseg {
namespace {

/// One structure in the slices of one frame.
struct Stack {
  std::span<const StructurePixels> pixels;
  std::span<const std::uint8_t> included;
  std::span<const double> weights;
  std::size_t structure;

  /// Pixels times weight.
  double counting(std::size_t slice) const {
    const bool counts = included.empty() || included[slice * kStructureCount + structure] != 0;
    return counts ? static_cast<double>(pixels[slice][structure]) * weights[slice] : 0;
  }
};

double volume_ml(const Stack& stack, double voxel_ml, EndSlices end_slices) {
  double sum = 0;
  double first = 0;
  double last = 0;
  int seen = 0;
  for (std::size_t slice = 0; slice < stack.pixels.size(); ++slice) {
    const double pixels = stack.counting(slice);
    sum += pixels;
    if (first == 0) first = pixels;
    if (pixels > 0) last = pixels;
    if (pixels > 0) ++seen;
  }
  const bool halves = end_slices == EndSlices::trapezoid && seen > 1;
  return (halves ? sum - (first + last) / 2 : sum) * voxel_ml;
}

}  // namespace

std::vector<double> slice_weights(std::span<const double> shares_mm, std::size_t slices, double slice_mm) {
  std::vector<double> weights(slices, 1);
  for (std::size_t slice = 0; slice < shares_mm.size(); ++slice) weights[slice] = shares_mm[slice] / slice_mm;
  return weights;
}

std::vector<FrameVolumes> volume_curve(std::span<const StructurePixels> pixels, std::span<const std::uint8_t> included,
                                       std::span<const double> weights, double voxel_ml, EndSlices end_slices) {
  const std::size_t slices = weights.size();
  std::vector<FrameVolumes> curve;
  for (std::size_t first = 0; first < pixels.size(); first += slices) {
    const auto volume = [&](std::size_t structure) {
      const auto marks =
          included.empty() ? included : included.subspan(first * kStructureCount, slices * kStructureCount);
      return volume_ml({pixels.subspan(first, slices), marks, weights, structure}, voxel_ml, end_slices);
    };
    curve.push_back({volume(0), volume(1), volume(2)});
  }
  return curve;
}

}  // namespace cardiacseg
