#pragma once

#include <cstddef>
#include <cstdint>

#include "ops/crop.h"
#include "ops/device.h"
#include "ops/heart_localization_geometry.h"

namespace cardiacseg::ops {

/// Bytes of device memory that `heart_localization_cuda` works in: 8 a pixel of each stack's grid, about.
std::size_t heart_localization_workspace(std::int64_t stacks, std::int64_t rows, std::int64_t columns);

/// What ops::heart_localization does, on maps in device memory: the same origins, by one kernel on `stream`, a CTA for
/// each stack. `heart` is `[stacks, slices, padded_rows, padded_columns]`; `origins`, one for each stack, is written.
/// `workspace` is device memory of `heart_localization_workspace` bytes, aligned to 8, which need not hold anything.
/// Nothing is allocated or waited for.
///
/// Throws what ops::heart_localization throws before the launch, and cuda::CudaError.
void heart_localization_cuda(const float* heart, const HeartMaps& maps, const HeartLocalizationRules& rules,
                             void* workspace, CropOrigin* origins, DeviceStream stream);

}  // namespace cardiacseg::ops
