#include "measure/slice_pixels.h"

#include <algorithm>
#include <numeric>
#include <string>

#include "cardiacseg/error.h"

namespace cardiacseg {
namespace {

constexpr std::int64_t kPiece = 255;  // pixels that a counter of 8 bits can hold

/// Adds the pixels of up to kPiece labels to `pixels`, in a form that the compiler vectorizes, and updates `largest`.
void count_piece(const std::uint8_t* labels, std::int64_t count, StructurePixels& pixels, std::uint8_t& largest) {
  std::array<std::uint8_t, kStructureCount> found{};
  std::uint8_t most = largest;
  for (std::int64_t i = 0; i < count; ++i) {
    for (std::uint8_t k = 0; k < kStructureCount; ++k)
      found[k] = static_cast<std::uint8_t>(found[k] + (labels[i] == k + 1));
    most = std::max(most, labels[i]);
  }
  largest = most;
  for (std::size_t k = 0; k < found.size(); ++k) pixels[k] += found[k];
}

StructurePixels count_slice(const LabelSlice& slice, std::int64_t frame) {
  StructurePixels pixels{};
  std::uint8_t largest = 0;
  const std::int64_t size = slice.rows * slice.columns;
  for (std::int64_t first = 0; first < size; first += kPiece) {
    count_piece(slice.data + first, std::min(kPiece, size - first), pixels, largest);
  }
  if (largest >= kLabelCount) {
    throw Error(ErrorCode::invalid_input,
                "labels: expected 0 to 3, got " + std::to_string(int{largest}) + " in frame " + std::to_string(frame));
  }
  return pixels;
}

std::int64_t all_of(const StructurePixels& pixels) { return pixels[0] + pixels[1] + pixels[2]; }

std::int64_t all_of(std::span<const StructurePixels> slices) {
  return std::accumulate(slices.begin(), slices.end(), std::int64_t{0},
                         [](std::int64_t sum, const StructurePixels& pixels) { return sum + all_of(pixels); });
}

}  // namespace

std::vector<StructurePixels> count_pixels(const LabelView& labels) {
  std::vector<StructurePixels> pixels;
  pixels.reserve(static_cast<std::size_t>(labels.shape.frames * labels.shape.slices));
  for (std::int64_t frame = 0; frame < labels.shape.frames; ++frame) {
    for (std::int64_t slice = 0; slice < labels.shape.slices; ++slice) {
      pixels.push_back(count_slice(slice_of(labels, frame, slice), frame));
    }
  }
  return pixels;
}

std::optional<bool> is_base_first(std::span<const StructurePixels> slices) {
  const auto shown = [](const StructurePixels& pixels) { return all_of(pixels) > 0; };
  const auto first = std::find_if(slices.begin(), slices.end(), shown);
  const auto last = std::find_if(slices.rbegin(), slices.rend(), shown).base();
  if (std::count_if(slices.begin(), slices.end(), shown) < 2) return std::nullopt;
  const std::span<const StructurePixels> heart(first, last);
  const std::size_t third = std::max<std::size_t>(1, heart.size() / 3);
  return all_of(heart.first(third)) >= all_of(heart.last(third));
}

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
