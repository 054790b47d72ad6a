#pragma once

#include <cstdint>
#include <vector>

namespace cardiacseg::ops {

/// Pixels along an axis of `length` pixels after resampling from `spacing` to `target` (mm): round, at least 1.
/// Throws std::invalid_argument for pixel sizes that are not positive and finite, and for more than 2^31 - 1 pixels.
std::int64_t resampled_length(std::int64_t length, double spacing, double target);

/// How an axis is resampled: output pixel i is the sum, in this order, of weights[k * outputs + i] times input pixel
/// first[i] + k for k from 0 to count[i] - 1.
struct ResampleTaps {
  std::int64_t inputs;   ///< pixels of the axis before
  std::int64_t outputs;  ///< and after
  std::int64_t width;    ///< largest count
  std::vector<std::int32_t> first;
  std::vector<std::int32_t> count;  ///< 1 or more
  std::vector<float> weights;       ///< `[width, outputs]`, 0 behind the count
};

/// Linear interpolation along an axis, anti-aliased if it shrinks: the triangle filter is widened by the factor of
/// shrinking and its weights normalized, as in Pillow's BILINEAR and PyTorch's `interpolate(mode="bilinear",
/// antialias=True, align_corners=False)`. Output pixel i has its center at input coordinate
/// (i + 0.5) * target / spacing - 0.5, so that the outer edges of the first pixels coincide. Edges repeat nothing:
/// weights outside are dropped. Throws as `resampled_length` does.
ResampleTaps resample_taps(std::int64_t length, double spacing, double target);

}  // namespace cardiacseg::ops
