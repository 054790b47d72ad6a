#pragma once

#include <cstdint>
#include <span>

namespace cardiacseg::ops {

/// Pixels along an axis of `length` pixels after resampling from `spacing` to `target` (mm): round, at least 1.
std::int64_t resampled_length(std::int64_t length, double spacing, double target);

/// Geometry of one in-plane resampling. The outer edges of the first pixels coincide: output pixel i lies at input
/// coordinate (i + 0.5) * target / spacing - 0.5.
struct ResampleGeometry {
  std::int64_t planes;
  std::int64_t rows;
  std::int64_t columns;
  double row_spacing;     ///< mm
  double column_spacing;  ///< mm
  double target;          ///< mm, of both axes
};

/// Linear interpolation of `[planes, rows, columns]`, anti-aliased where it shrinks: the triangle filter is widened by
/// the factor of shrinking and its weights normalised, as in Pillow's BILINEAR and PyTorch's
/// `interpolate(mode="bilinear", antialias=True, align_corners=False)`. Edges repeat nothing: weights outside are
/// dropped. `output` is `[planes, resampled_length(rows), resampled_length(columns)]`.
void resample(std::span<const float> input, const ResampleGeometry& geometry, std::span<float> output);

}  // namespace cardiacseg::ops
