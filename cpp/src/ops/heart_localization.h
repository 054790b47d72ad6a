#pragma once

#include <span>

#include "ops/crop.h"
#include "ops/heart_localization_geometry.h"

namespace cardiacseg::ops {

/// Localizes the heart in probability maps `heart` `[stacks, slices, padded_rows, padded_columns]`: for each stack the
/// origin of a crop around its center, to `origins`.
///
/// Values of at least the threshold are summed over slices. Of all boxes of `window` x `window` pixels inside the grid
/// (or as many as there are) the first in C order with the largest sum is used, and the crop is centered on the
/// centroid of the values inside. If the sums are 0, it is centered on the middle of the grid. A NaN is below every
/// threshold.
///
/// The sums are whole numbers of 2^-24ths, rounded down from each probability (of which those outside of 0 to 1 count
/// as 0 or 1), in 64 bits: the same in whatever order they are added. From 0.5 on a float32 is such a number.
///
/// Throws std::invalid_argument for numbers that make no sense or whose sums would not fit.
void heart_localization(std::span<const float> heart, const HeartMaps& maps, const HeartLocalizationRules& rules,
                        std::span<CropOrigin> origins);

}  // namespace cardiacseg::ops
