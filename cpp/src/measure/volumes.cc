#include "measure/volumes.h"

namespace cardiacseg {
namespace {

/// One structure in the slices of one frame.
struct Stack {
  std::span<const StructurePixels> pixels;
  std::span<const std::uint8_t> included;
  std::size_t structure;

  std::int64_t counting(std::size_t slice) const {
    const bool counts = included.empty() || included[slice * kStructureCount + structure] != 0;
    return counts ? pixels[slice][structure] : 0;
  }
};

double volume_ml(const Stack& stack, double voxel_ml, EndSlices end_slices) {
  std::int64_t sum = 0;
  std::int64_t first = 0;
  std::int64_t last = 0;
  for (std::size_t slice = 0; slice < stack.pixels.size(); ++slice) {
    const std::int64_t pixels = stack.counting(slice);
    sum += pixels;
    if (first == 0) first = pixels;
    if (pixels > 0) last = pixels;
  }
  const double whole = static_cast<double>(sum);
  return (end_slices == EndSlices::whole ? whole : whole - static_cast<double>(first + last) / 2) * voxel_ml;
}

}  // namespace

std::vector<FrameVolumes> volume_curve(std::span<const StructurePixels> pixels, std::span<const std::uint8_t> included,
                                       std::int64_t frames, double voxel_ml, EndSlices end_slices) {
  const std::size_t slices = pixels.size() / static_cast<std::size_t>(frames);
  std::vector<FrameVolumes> curve;
  for (std::size_t first = 0; first < pixels.size(); first += slices) {
    const auto volume = [&](std::size_t structure) {
      const auto marks =
          included.empty() ? included : included.subspan(first * kStructureCount, slices * kStructureCount);
      return volume_ml({pixels.subspan(first, slices), marks, structure}, voxel_ml, end_slices);
    };
    curve.push_back({volume(0), volume(1), volume(2)});
  }
  return curve;
}

}  // namespace cardiacseg
