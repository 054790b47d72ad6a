#include <algorithm>
#include <cmath>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <vector>

#include "ops/normalize.h"

namespace cardiacseg::ops {
namespace {

/// Moves the value of rank `floor(position)` to its sorted place and interpolates to the next in rank. What lies before
/// `sorted_from` must be no larger than anything behind it.
float value_at(std::vector<float>& values, double position, std::size_t sorted_from) {
  const auto rank = static_cast<std::size_t>(position);
  const auto at = [&values](std::size_t index) { return values.begin() + static_cast<std::ptrdiff_t>(index); };
  std::nth_element(at(sorted_from), at(rank), values.end());
  const double below = values[rank];
  const double share = position - static_cast<double>(rank);
  if (share == 0) return values[rank];
  const double above = *std::min_element(at(rank + 1), values.end());
  return static_cast<float>(below + share * (above - below));
}

void require_percentiles(std::span<const float> values, double lower, double upper) {
  if (values.empty()) throw std::invalid_argument("percentile_range: wanted at least one value, got none");
  if (!(0 <= lower && lower <= upper && upper <= 100)) {
    throw std::invalid_argument("percentile_range: wanted 0 <= lower <= upper <= 100, got " + std::to_string(lower) +
                                " and " + std::to_string(upper));
  }
  if (!std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); })) {
    throw std::invalid_argument("percentile_range: wanted finite values, got an infinite one or a NaN");
  }
}

}  // namespace

IntensityRange percentile_range(std::span<const float> values, double lower, double upper) {
  require_percentiles(values, lower, upper);
  std::vector<float> ranked(values.begin(), values.end());
  const auto last = static_cast<double>(values.size() - 1);
  const double low_position = lower / 100 * last;
  const float low = value_at(ranked, low_position, 0);
  const float high = value_at(ranked, upper / 100 * last, static_cast<std::size_t>(low_position));
  if (low < high) return {low, high};
  const auto [smallest, largest] = std::minmax_element(values.begin(), values.end());
  return {*smallest, *largest};
}

void normalize(std::span<float> values, const IntensityRange& range) {
  if (!std::isfinite(range.low) || !std::isfinite(range.high) || range.low > range.high) {
    throw std::invalid_argument("normalize: wanted finite low <= high, got " + std::to_string(range.low) + " and " +
                                std::to_string(range.high));
  }
  if (range.low == range.high) {
    std::fill(values.begin(), values.end(), 0.0F);
    return;
  }
  // In double, the difference of two floats neither overflows nor vanishes.
  const double low = range.low;
  const double scale = 1 / (static_cast<double>(range.high) - low);
  for (float& value : values) value = static_cast<float>(std::min(std::max((value - low) * scale, 0.0), 1.0));
}

}  // namespace cardiacseg::ops
