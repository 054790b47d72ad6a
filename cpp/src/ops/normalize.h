#pragma once

#include <span>

namespace cardiacseg::ops {

/// Intensities that become 0 and 1.
struct IntensityRange {
  float low;
  float high;
};

/// The `lower` and `upper` percentiles (0 to 100) of all values, linearly interpolated between neighbours in rank
/// (NumPy's default method). Where both are equal, the smallest and the largest value. `values` must not be empty.
IntensityRange percentile_range(std::span<const float> values, double lower, double upper);

/// In place: (v - low) / (high - low), clipped to 0..1.
void normalize(std::span<float> values, const IntensityRange& range);

}  // namespace cardiacseg::ops
