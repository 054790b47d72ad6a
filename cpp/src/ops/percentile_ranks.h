#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>

#include "ops/device.h"
#include "ops/intensity_range.h"

namespace cardiacseg::ops {

/// How many values by rank two percentiles and the extremes are made of.
constexpr int kRanks = 6;

/// The ranks, counted from 0: of the smallest value, of the values below and above the lower percentile, of those below
/// and above the upper, of the largest. A percentile lies at `share` of the way from the value below to that above.
struct PercentileRanks {
  std::uint32_t rank[kRanks];
  double lower_share;
  double upper_share;
};

/// Ranks of these percentiles, 0 <= `lower` <= `upper` <= 100, among `voxels` values, at most
/// 2^32 - 1. Throws std::invalid_argument.
inline PercentileRanks percentile_ranks(std::int64_t voxels, double lower, double upper) {
  if (voxels < 1 || voxels > std::numeric_limits<std::uint32_t>::max()) {
    throw std::invalid_argument("percentile_range: expected at least one value and at most 2^32 - 1, got " +
                                std::to_string(voxels));
  }
  if (!(0 <= lower && lower <= upper && upper <= 100)) {
    throw std::invalid_argument("percentile_range: expected 0 <= lower <= upper <= 100, got " + std::to_string(lower) +
                                " and " + std::to_string(upper));
  }
  const auto last = static_cast<std::uint32_t>(voxels - 1);
  const double low = lower / 100 * last;
  const double high = upper / 100 * last;
  const auto low_rank = static_cast<std::uint32_t>(low);
  const auto high_rank = static_cast<std::uint32_t>(high);
  return {{0, low_rank, std::min(low_rank + 1, last), high_rank, std::min(high_rank + 1, last), last},
          low - low_rank,
          high - high_rank};
}

CARDIACSEG_HOST_DEVICE inline float between(float below, float above, double share) {
  return static_cast<float>(below + share * (static_cast<double>(above) - below));
}

/// The range of a stack from its values of these ranks.
CARDIACSEG_HOST_DEVICE inline IntensityRange range_of_values(const float (&value)[kRanks],
                                                             const PercentileRanks& ranks) {
  const float low = between(value[1], value[2], ranks.lower_share);
  const float high = between(value[3], value[4], ranks.upper_share);
  if (low < high) return {low, high};
  return {value[0], value[5]};
}

}  // namespace cardiacseg::ops
