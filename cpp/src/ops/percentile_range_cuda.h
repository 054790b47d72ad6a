#pragma once

#include <cstddef>
#include <cstdint>

#include "ops/device.h"
#include "ops/intensity_range.h"
#include "ops/pixels.h"

namespace cardiacseg::ops {

/// Bytes of device memory that `percentile_range_cuda` works in for `stacks` stacks of `voxels` pixels each: 0.25 MiB a
/// stack for integers of one or two bytes, 1.5 MiB for other types; of stacks of at most 8192 pixels, 1024 share
/// theirs.
std::size_t percentile_range_workspace(PixelType type, std::int64_t stacks, std::int64_t voxels);

/// What ops::percentile_range does, on pixels in device memory: the same ranges, bit for bit. A stack that holds a
/// pixel which is not finite has the range NaN, NaN. A stack has at most 2^32 - 1 pixels.
///
/// `workspace` is device memory of `percentile_range_workspace` bytes, aligned to 4, all 0 before its first use; each
/// call leaves it so. `ranges` is device memory, one for each stack. Integers of one or two bytes are read once, by one
/// kernel; other types twice, by two kernels: for the upper halves of their keys (pixel_keys.h) and for the lower.
/// Throws std::invalid_argument before any launch, and cuda::CudaError.
void percentile_range_cuda(const Pixels& pixels, double lower, double upper, void* workspace, IntensityRange* ranges,
                           DeviceStream stream);

}  // namespace cardiacseg::ops
