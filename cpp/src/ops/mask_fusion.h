#pragma once

#include <cstdint>
#include <span>

#include "ops/crop.h"
#include "ops/mask_fusion_geometry.h"

namespace cardiacseg::ops {

/// What mask_fusion writes, for all slices of all stacks.
struct FusionOutputs {
  std::span<std::uint8_t> labels;       ///< `[slices, rows, columns]` on the original grid
  std::span<float> probabilities = {};  ///< `[slices, 4, rows, columns]`, or empty: not requested
  std::span<std::int32_t> counts = {};  ///< `[slices, 4]`: the voxels of each label are added; or empty: not requested
};

/// Gated mask fusion of `origins.size()` stacks. `logits` is `[slices, 4, crop_rows, crop_columns]` and `presence`
/// `[slices, 3]` or empty (no gate), `slices` being those of all stacks, one stack after the other; `origins` are
/// the positions of the stacks' crops.
///
/// Per voxel: softmax of the logits divided by the temperature at the four nearest pixels of the crop, bilinear
/// interpolation of the probabilities at network coordinate (i + 0.5) * spacing / target - 0.5, the probability of each
/// structure whose presence is not above the threshold set to 0, argmax (the lowest label wins a tie). The other
/// probabilities are then divided by their sum; background is 1 if that is 0 or not a number. At the crop's rim the
/// nearest pixel is used; a voxel whose center lies outside the crop's pixels is background.
///
/// `threads` at most work on it, 0: as many as there are cores; the results do not depend on that.
void mask_fusion(std::span<const float> logits, std::span<const float> presence, std::span<const CropOrigin> origins,
                 const FusionRules& rules, const FusionGeometry& geometry, const FusionOutputs& outputs,
                 int threads = 1);

}  // namespace cardiacseg::ops
