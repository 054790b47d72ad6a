#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <stdexcept>
#include <string>

#include "ops/require.h"
#include "ops/resample_taps.h"

namespace cardiacseg::ops {
namespace {

/// The pixels under a triangle whose middle is `center` and whose half width is `radius`. Pixel j covers j to j + 1.
ResampleTap triangle(double center, double radius, double length) {
  const double first = std::max(0.0, std::floor(center - radius - 0.5) + 1);
  const double end = std::min(length, std::ceil(center + radius - 0.5));
  std::vector<double> weights;
  double sum = 0;
  for (std::int64_t index = 0; index < static_cast<std::int64_t>(end - first); ++index) {
    const double pixel = first + static_cast<double>(index);
    weights.push_back(1 - std::abs(pixel + 0.5 - center) / radius);
    sum += weights.back();
  }
  ResampleTap tap{static_cast<std::int64_t>(first), {}};
  for (const double weight : weights) tap.weights.push_back(static_cast<float>(weight / sum));
  return tap;
}

/// One tap for each output pixel of an axis.
std::vector<ResampleTap> axis_taps(std::int64_t length, double scale, std::int64_t outputs) {
  std::vector<ResampleTap> taps;
  taps.reserve(static_cast<std::size_t>(outputs));
  for (std::int64_t i = 0; i < outputs; ++i) {
    taps.push_back(triangle((static_cast<double>(i) + 0.5) * scale, std::max(scale, 1.0), static_cast<double>(length)));
  }
  return taps;
}

}  // namespace

std::int64_t resampled_length(std::int64_t length, double spacing, double target) {
  require_spacing(spacing, target);
  element_count("resampling", {length});
  const double pixels = std::nearbyint(static_cast<double>(length) * (spacing / target));
  if (pixels > std::numeric_limits<std::int32_t>::max() || length > std::numeric_limits<std::int32_t>::max()) {
    throw std::invalid_argument("resampling: " + std::to_string(length) + " pixels of " + std::to_string(spacing) +
                                " mm are too many at " + std::to_string(target) + " mm");
  }
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(pixels));
}

ResampleTaps table_of(std::int64_t inputs, std::span<const ResampleTap> taps) {
  ResampleTaps table{inputs, static_cast<std::int64_t>(taps.size()), 0, {}, {}, {}};
  for (const ResampleTap& tap : taps) {
    table.first.push_back(static_cast<std::int32_t>(tap.first));
    table.count.push_back(static_cast<std::int32_t>(tap.weights.size()));
    table.width = std::max(table.width, static_cast<std::int64_t>(tap.weights.size()));
  }
  table.weights.resize(static_cast<std::size_t>(table.width) * taps.size());
  for (std::size_t i = 0; i < taps.size(); ++i) {
    for (std::size_t k = 0; k < taps[i].weights.size(); ++k) table.weights[k * taps.size() + i] = taps[i].weights[k];
  }
  return table;
}

ResampleTaps resample_taps(std::int64_t length, double spacing, double target) {
  const std::int64_t outputs = resampled_length(length, spacing, target);
  return table_of(length, axis_taps(length, target / spacing, outputs));
}

}  // namespace cardiacseg::ops
