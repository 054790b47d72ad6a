#pragma once

#include <cstdint>
#include <span>

#include "ops/crop.h"
#include "ops/intensity_range.h"
#include "ops/pixels.h"
#include "ops/resample_taps.h"

namespace cardiacseg::ops {

/// From a scanner's pixels to a network's input: resampled by the taps of both axes, first along the rows and then
/// along the columns, in float32; then (v - low) / (high - low), clipped to 0..1, in float32 too (normalize_rule), 0
/// if the range has no width; of that, each stack's crop. Only the crop is computed. What it shows from outside the
/// resampled grid is 0.
struct PreprocessRules {
  const ResampleTaps& rows;
  const ResampleTaps& columns;
  std::int64_t crop_rows;
  std::int64_t crop_columns;
};

/// `ranges` and `origins` have one entry for each stack of `pixels`, whose pixels are finite; `output` is
/// `[stacks, slices, crop_rows, crop_columns]`. `threads`: as for parallel_for; the output does not depend on it.
/// Throws std::invalid_argument.
void preprocess(const Pixels& pixels, const PreprocessRules& rules, std::span<const IntensityRange> ranges,
                std::span<const CropOrigin> origins, int threads, std::span<float> output);

}  // namespace cardiacseg::ops
