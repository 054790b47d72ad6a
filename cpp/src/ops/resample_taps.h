#pragma once

#include <cstdint>
#include <span>
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

/// Input pixels `first`, `first` + 1, ... and their weights in one output pixel; the weights sum to 1.
struct ResampleTap {
  std::int64_t first;
  std::vector<float> weights;
};

/// The taps of all output pixels of an axis of `inputs` pixels as one table.
ResampleTaps table_of(std::int64_t inputs, std::span<const ResampleTap> taps);

/// Linear interpolation along an axis, anti-aliased if it shrinks: the triangle filter is widened by the factor of
/// shrinking and its weights normalized, as in Pillow's BILINEAR and PyTorch's `interpolate(mode="bilinear",
/// antialias=True, align_corners=False)`. Output pixel i has its center at input coordinate
/// (i + 0.5) * target / spacing - 0.5, so that the outer edges of the first pixels coincide. Edges repeat nothing:
/// weights outside are dropped. Throws as `resampled_length` does.
ResampleTaps resample_taps(std::int64_t length, double spacing, double target);

}  // namespace cardiacseg::ops
