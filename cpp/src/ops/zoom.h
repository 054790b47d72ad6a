#pragma once

#include <cstdint>
#include <span>

#include "ops/resample_taps.h"

namespace cardiacseg::ops {

/// Interpolation along an axis whose length in mm stays: output pixel i lies at input coordinate
/// (i + 0.5) * inputs / outputs - 0.5, and the first and the last pixel are repeated outside. Nothing is anti-aliased.
/// `order` 1 is linear; 3 is the cubic B-spline that passes through all pixels, without weights below 1e-9. As
/// scipy.ndimage.zoom with mode "nearest" and grid_mode, and skimage.transform.resize with mode "edge". Throws
/// std::invalid_argument for another order or an axis without pixels.
ResampleTaps zoom_taps(std::int64_t inputs, std::int64_t outputs, int order);

/// `plane`, `[rows.inputs, columns.inputs]`, interpolated along both axes to `output`,
/// `[rows.outputs, columns.outputs]`. Throws std::invalid_argument for other sizes.
void zoom(std::span<const float> plane, const ResampleTaps& rows, const ResampleTaps& columns, std::span<float> output);

}  // namespace cardiacseg::ops
