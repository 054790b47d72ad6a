#include "measure/papillary.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/read_row.h"

namespace cardiacseg {
namespace {

constexpr std::size_t kMyo = 1;  // places in StructurePixels
constexpr std::size_t kLv = 2;

/// Finite signals under one label.
std::vector<float> signals(const LabelSlice& labels, std::span<const float> image, Label label) {
  std::vector<float> found;
  for (std::size_t pixel = 0; pixel < image.size(); ++pixel) {
    if (static_cast<Label>(labels.data[pixel]) == label && std::isfinite(image[pixel])) found.push_back(image[pixel]);
  }
  return found;
}

/// The middle value; of an even number, the upper of the two in the middle. `values` must not be empty.
double median(std::vector<float>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

void read_slice(const CineView& image, std::int64_t frame, std::int64_t slice, std::span<float> pixels) {
  const auto columns = static_cast<std::size_t>(image.shape.columns);
  const auto* first =
      static_cast<const unsigned char*>(image.data) + frame * image.strides[0] + slice * image.strides[1];
  for (std::int64_t row = 0; row < image.shape.rows; ++row) {
    ops::read_row(first + row * image.strides[2], image.type, image.strides[3],
                  pixels.subspan(static_cast<std::size_t>(row) * columns, columns));
  }
}

}  // namespace

std::int64_t papillary_pixels(const LabelSlice& labels, std::span<const float> image) {
  std::vector<float> blood = signals(labels, image, Label::left_ventricle);
  std::vector<float> muscle = signals(labels, image, Label::myocardium);
  if (blood.empty() || muscle.empty()) return 0;
  const double bright = median(blood);
  const double dark = median(muscle);
  if (bright <= dark) return 0;
  return std::count_if(blood.begin(), blood.end(),
                       [middle = (bright + dark) / 2](float signal) { return signal < middle; });
}

void move_papillary_muscles(const LabelView& labels, const CineView& image, std::span<StructurePixels> pixels) {
  std::vector<float> signal(static_cast<std::size_t>(labels.shape.rows * labels.shape.columns));
  auto slice_pixels = pixels.begin();
  for (std::int64_t frame = 0; frame < labels.shape.frames; ++frame) {
    for (std::int64_t slice = 0; slice < labels.shape.slices; ++slice, ++slice_pixels) {
      if ((*slice_pixels)[kMyo] == 0 || (*slice_pixels)[kLv] == 0) continue;
      read_slice(image, frame, slice, signal);
      const std::int64_t moved = papillary_pixels(slice_of(labels, frame, slice), signal);
      (*slice_pixels)[kMyo] += moved;
      (*slice_pixels)[kLv] -= moved;
    }
  }
}

}  // namespace cardiacseg
