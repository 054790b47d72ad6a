#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "ops/require.h"
#include "ops/zoom.h"

namespace cardiacseg::ops {
namespace {

/// Pixels on each side that have a weight in a spline: the pole to the power of 16 is 7e-10.
constexpr std::int64_t kSplineReach = 16;

/// What a pixel of an axis without ends contributes to another place, in pixels from it.
double cubic_basis(double distance) {
  const double x = std::abs(distance);
  if (x < 1) return 2.0 / 3.0 + x * x * (0.5 * x - 1);
  return x < 2 ? (2 - x) * (2 - x) * (2 - x) / 6 : 0.0;
}

/// Weight of pixel `pixel` at coordinate `at`: the B-spline's coefficients are the pixels through a filter with the
/// impulse response sqrt(3) * pole^|n|.
double spline_weight(double at, std::int64_t pixel) {
  const double pole = std::sqrt(3.0) - 2;
  double sum = 0;
  for (std::int64_t knot = static_cast<std::int64_t>(std::floor(at)) - 1, last = knot + 3; knot <= last; ++knot) {
    const auto distance = static_cast<int>(std::abs(knot - pixel));
    sum += cubic_basis(at - static_cast<double>(knot)) * std::sqrt(3.0) * std::pow(pole, distance);
  }
  return sum;
}

double linear_weight(double at, std::int64_t pixel) {
  return std::max(0.0, 1 - std::abs(at - static_cast<double>(pixel)));
}

/// The pixels of an axis of `inputs` pixels round `at`; those outside add to the first or the last.
ResampleTap tap_at(double at, std::int64_t inputs, int order) {
  const std::int64_t middle = static_cast<std::int64_t>(std::floor(at));
  const std::int64_t reach = order == 3 ? kSplineReach : 1;
  const std::int64_t last = inputs - 1;
  const std::int64_t first = std::clamp<std::int64_t>(middle - reach + 1, 0, last);
  const std::int64_t end = std::clamp<std::int64_t>(middle + reach, 0, last) + 1;
  std::vector<double> weights(static_cast<std::size_t>(end - first));
  for (std::int64_t pixel = middle - reach + 1; pixel <= middle + reach; ++pixel) {
    const auto index = static_cast<std::size_t>(std::clamp<std::int64_t>(pixel, 0, last) - first);
    weights[index] += order == 3 ? spline_weight(at, pixel) : linear_weight(at, pixel);
  }
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  ResampleTap tap{first, {}};
  for (const double weight : weights) tap.weights.push_back(static_cast<float>(weight / sum));
  return tap;
}

}  // namespace

ResampleTaps zoom_taps(std::int64_t inputs, std::int64_t outputs, int order) {
  element_count("zoom", {inputs, outputs});
  if (order != 1 && order != 3) {
    throw std::invalid_argument("zoom: expected the order 1 or 3, got " + std::to_string(order));
  }
  std::vector<ResampleTap> taps;
  for (std::int64_t i = 0; i < outputs; ++i) {
    const double at = (static_cast<double>(i) + 0.5) * static_cast<double>(inputs) / static_cast<double>(outputs) - 0.5;
    taps.push_back(inputs == outputs ? ResampleTap{i, {1.0F}} : tap_at(at, inputs, order));
  }
  return table_of(inputs, taps);
}

void zoom(std::span<const float> plane, const ResampleTaps& rows, const ResampleTaps& columns,
          std::span<float> output) {
  require_size("plane of zoom", plane.size(), {rows.inputs, columns.inputs});
  require_size("output of zoom", output.size(), {rows.outputs, columns.outputs});
  const auto width = static_cast<std::size_t>(columns.inputs);
  const auto height = static_cast<std::size_t>(rows.outputs);
  const auto across = static_cast<std::size_t>(columns.outputs);
  std::vector<float> line(width);
  for (std::size_t row = 0; row < height; ++row) {
    std::fill(line.begin(), line.end(), 0.0F);
    for (std::size_t k = 0; k < static_cast<std::size_t>(rows.count[row]); ++k) {
      const float weight = rows.weights[k * height + row];
      const float* from = &plane[(static_cast<std::size_t>(rows.first[row]) + k) * width];
      for (std::size_t column = 0; column < width; ++column) line[column] += weight * from[column];
    }
    for (std::size_t column = 0; column < across; ++column) {
      const float* from = &line[static_cast<std::size_t>(columns.first[column])];
      float sum = 0;
      for (std::size_t k = 0; k < static_cast<std::size_t>(columns.count[column]); ++k) {
        sum += columns.weights[k * across + column] * from[k];
      }
      output[row * across + column] = sum;
    }
  }
}

}  // namespace cardiacseg::ops
