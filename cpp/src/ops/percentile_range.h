#pragma once

#include <cstdint>
#include <span>

#include "ops/intensity_range.h"
#include "ops/pixels.h"

namespace cardiacseg::ops {

/// For each stack of `pixels` the `lower` and `upper` percentiles (0 to 100) of all its pixels as float32, linearly
/// interpolated between neighbors in rank (NumPy's default method). If both are equal, the smallest and the largest
/// pixel. `ranges` has one entry for each stack. `threads`: as for parallel_for; the ranges do not depend on it.
/// Throws std::invalid_argument, also if a pixel is not finite.
void percentile_range(const Pixels& pixels, double lower, double upper, int threads, std::span<IntensityRange> ranges);

}  // namespace cardiacseg::ops
