#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "ops/require.h"
#include "ops/resample.h"

namespace cardiacseg::ops {
namespace {

/// Input pixels `first`, `first` + 1, ... and their shares in one output pixel; the shares sum to 1.
struct Tap {
  std::size_t first;
  std::vector<float> weights;
};

/// The pixels under a triangle whose middle is `centre` and whose half width is `radius`. Pixel j covers j to j + 1.
Tap triangle(double centre, double radius, double length) {
  const double first = std::max(0.0, std::floor(centre - radius - 0.5) + 1);
  const double end = std::min(length, std::ceil(centre + radius - 0.5));
  std::vector<double> shares;
  double sum = 0;
  for (double pixel = first; pixel < end; ++pixel) {
    shares.push_back(1 - std::abs(pixel + 0.5 - centre) / radius);
    sum += shares.back();
  }
  Tap tap{static_cast<std::size_t>(first), {}};
  for (const double share : shares) tap.weights.push_back(static_cast<float>(share / sum));
  return tap;
}

/// One tap for each output pixel of an axis.
std::vector<Tap> axis_taps(std::int64_t length, double spacing, double target) {
  const double scale = target / spacing;
  std::vector<Tap> taps(static_cast<std::size_t>(resampled_length(length, spacing, target)));
  for (std::size_t i = 0; i < taps.size(); ++i) {
    taps[i] = triangle((static_cast<double>(i) + 0.5) * scale, std::max(scale, 1.0), static_cast<double>(length));
  }
  return taps;
}

/// Shortens or lengthens every row: `[rows, columns]` -> `[rows, taps]`.
void along_rows(std::span<const float> input, std::size_t rows, const std::vector<Tap>& taps, std::span<float> output) {
  const std::size_t columns = input.size() / rows;
  for (std::size_t row = 0; row < rows; ++row) {
    const float* from = input.data() + row * columns;
    float* to = output.data() + row * taps.size();
    for (const Tap& tap : taps) {
      float sum = 0;
      for (std::size_t k = 0; k < tap.weights.size(); ++k) sum += tap.weights[k] * from[tap.first + k];
      *to++ = sum;
    }
  }
}

/// Shortens or lengthens every column: `[rows, columns]` -> `[taps, columns]`.
void along_columns(std::span<const float> input, std::size_t columns, const std::vector<Tap>& taps,
                   std::span<float> output) {
  std::fill(output.begin(), output.end(), 0.0F);
  for (std::size_t i = 0; i < taps.size(); ++i) {
    float* to = output.data() + i * columns;
    for (std::size_t k = 0; k < taps[i].weights.size(); ++k) {
      const float weight = taps[i].weights[k];
      const float* from = input.data() + (taps[i].first + k) * columns;
      for (std::size_t column = 0; column < columns; ++column) to[column] += weight * from[column];
    }
  }
}

}  // namespace

std::int64_t resampled_length(std::int64_t length, double spacing, double target) {
  require_spacing(spacing, target);
  element_count("resampling", {length});
  const double pixels = std::nearbyint(static_cast<double>(length) * (spacing / target));
  if (pixels > std::numeric_limits<std::int32_t>::max()) {
    throw std::invalid_argument("resampling: " + std::to_string(length) + " pixels of " + std::to_string(spacing) +
                                " mm are too many at " + std::to_string(target) + " mm");
  }
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(pixels));
}

void resample(std::span<const float> input, const ResampleGeometry& geometry, std::span<float> output) {
  require_size("input of resample", input.size(), {geometry.planes, geometry.rows, geometry.columns});
  const std::int64_t rows = resampled_length(geometry.rows, geometry.row_spacing, geometry.target);
  const std::int64_t columns = resampled_length(geometry.columns, geometry.column_spacing, geometry.target);
  require_size("output of resample", output.size(), {geometry.planes, rows, columns});

  const std::vector<Tap> row_taps = axis_taps(geometry.rows, geometry.row_spacing, geometry.target);
  const std::vector<Tap> column_taps = axis_taps(geometry.columns, geometry.column_spacing, geometry.target);
  const auto planes = static_cast<std::size_t>(geometry.planes);
  const std::size_t input_plane = input.size() / planes;
  const std::size_t output_plane = output.size() / planes;
  std::vector<float> narrow(static_cast<std::size_t>(geometry.rows) * column_taps.size());
  for (std::size_t plane = 0; plane < planes; ++plane) {
    along_rows(input.subspan(plane * input_plane, input_plane), static_cast<std::size_t>(geometry.rows), column_taps,
               narrow);
    along_columns(narrow, column_taps.size(), row_taps, output.subspan(plane * output_plane, output_plane));
  }
}

}  // namespace cardiacseg::ops
