#include <algorithm>
#include <cmath>
#include <cstddef>

#include "ops/require.h"
#include "ops/windows.h"

namespace cardiacseg::ops {
namespace {

std::vector<double> gaussian(std::int64_t window) {
  std::vector<double> weights;
  const std::int64_t middle = window / 2;
  for (std::int64_t pixel = 0; pixel < window; ++pixel) {
    const double distance = static_cast<double>(pixel - middle) / (static_cast<double>(window) / 8);
    weights.push_back(std::exp(-0.5 * distance * distance));
  }
  return weights;
}

void add_weights(WindowAxis& axis) {
  const std::vector<double> each = gaussian(axis.window);
  std::vector<double> sums(static_cast<std::size_t>(axis.padded));
  for (const std::int64_t start : axis.starts) {
    for (std::size_t pixel = 0; pixel < each.size(); ++pixel)
      sums[static_cast<std::size_t>(start) + pixel] += each[pixel];
  }
  for (const std::int64_t start : axis.starts) {
    for (std::size_t pixel = 0; pixel < each.size(); ++pixel) {
      axis.weights.push_back(static_cast<float>(each[pixel] / sums[static_cast<std::size_t>(start) + pixel]));
    }
  }
}

}  // namespace

WindowAxis window_axis(std::int64_t pixels, std::int64_t window) {
  element_count("windows", {pixels, window});
  const std::int64_t padded = std::max(pixels, window);
  WindowAxis axis{window, (padded - pixels) / 2, padded, {}, {}};
  const auto room = static_cast<double>(padded - window);
  const std::int64_t count = static_cast<std::int64_t>(std::ceil(room / (static_cast<double>(window) * 0.5))) + 1;
  const double step = count > 1 ? room / static_cast<double>(count - 1) : 0.0;
  for (std::int64_t index = 0; index < count; ++index) {
    axis.starts.push_back(static_cast<std::int64_t>(std::nearbyint(step * static_cast<double>(index))));
  }
  add_weights(axis);
  return axis;
}

}  // namespace cardiacseg::ops
