#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "ops/intensity_range.h"

namespace cardiacseg::test {

/// What percentile_range says of the values of one stack, by sorting them.
inline ops::IntensityRange reference_percentile_range(std::span<const float> values, double lower, double upper) {
  std::vector<float> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  const auto at = [&sorted](double percentile) {
    const double position = percentile / 100 * static_cast<double>(sorted.size() - 1);
    const auto rank = static_cast<std::size_t>(position);
    const double below = sorted[rank];
    const double above = sorted[std::min(rank + 1, sorted.size() - 1)];
    return static_cast<float>(below + (position - static_cast<double>(rank)) * (above - below));
  };
  const float low = at(lower);
  const float high = at(upper);
  if (low < high) return {low, high};
  return {sorted.front(), sorted.back()};
}

}  // namespace cardiacseg::test
