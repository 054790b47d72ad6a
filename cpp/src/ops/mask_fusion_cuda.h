#pragma once

#include <cstdint>

#include "ops/crop.h"
#include "ops/device.h"
#include "ops/mask_fusion_geometry.h"
#include "ops/scalar.h"

namespace cardiacseg::ops {

/// What mask_fusion_cuda reads, in device memory.
struct DeviceFusionInputs {
  ScalarType type;            ///< of the logits: float32 or float16
  const void* logits;         ///< `[stacks * slices, 4, crop_rows, crop_columns]`
  const float* presence;      ///< `[stacks * slices, 3]`, or nullptr: no gate
  const CropOrigin* origins;  ///< `[stacks]`
  std::int64_t stacks;
};

/// What mask_fusion_cuda writes, in device memory.
struct DeviceFusionOutputs {
  std::uint8_t* labels;            ///< `[stacks * slices, rows, columns]`
  float* probabilities = nullptr;  ///< `[stacks * slices, 4, rows, columns]`, or nullptr: not requested
  std::int32_t* counts = nullptr;  ///< `[stacks * slices, 4]`: the voxels of each label are added; or nullptr
};

/// mask_fusion.h's operation as one CUDA kernel on `stream`, with the same bits: nothing is allocated or waited for,
/// and each logit is read once (where tiles of the grid meet, twice). The logits of slices in which nothing may be
/// shown are not read.
///
/// Throws std::invalid_argument for numbers that make no sense, another type, more than 2^31 - 1 tiles or more than
/// 262,140 rows; cuda::CudaError if the launch fails.
void mask_fusion_cuda(const DeviceFusionInputs& inputs, const FusionRules& rules, const FusionGeometry& geometry,
                      const DeviceFusionOutputs& outputs, DeviceStream stream);

}  // namespace cardiacseg::ops
