#pragma once

#include <cstdint>
#include <span>

#include "ops/crop_pad.h"

namespace cardiacseg::ops {

/// Where the network's crop lies on the original grid, for one stack.
struct FusionGeometry {
  std::int64_t slices;
  std::int64_t rows;  ///< of the original grid
  std::int64_t columns;
  double row_spacing;  ///< mm, of the original grid
  double column_spacing;
  double target;  ///< mm, of the network's grid, both axes
  Window window;  ///< the crop on the network's whole grid
};

/// The model's numbers.
struct FusionRules {
  float threshold;           ///< a structure is shown where its presence is above this
  float temperature = 1.0F;  ///< above 0; divides the logits
};

/// Gated mask fusion. `logits` is `[slices, 4, window.rows, window.columns]`, `presence` is `[slices, 3]` or empty (no
/// gate), `labels` is `[slices, rows, columns]` on the original grid, `probabilities` is `[slices, 4, rows, columns]`
/// or empty (not wanted).
///
/// Per voxel: softmax of the logits divided by the temperature at the four nearest pixels of the crop, bilinear
/// interpolation of the probabilities at network coordinate (i + 0.5) * spacing / target - 0.5, the probability of each
/// structure whose presence is not above the threshold set to 0, argmax (the lowest label wins a tie). The other
/// probabilities are then divided by their sum; background is 1 where that is 0 or not a number. At the crop's rim the
/// nearest pixel is used; a voxel whose centre lies outside the crop's pixels is background.
void mask_fusion(std::span<const float> logits, std::span<const float> presence, const FusionRules& rules,
                 const FusionGeometry& geometry, std::span<std::uint8_t> labels, std::span<float> probabilities = {});

}  // namespace cardiacseg::ops
