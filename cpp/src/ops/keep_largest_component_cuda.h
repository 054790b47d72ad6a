#pragma once

#include <cstddef>
#include <cstdint>

#include "ops/device.h"

namespace cardiacseg::ops {

/// Bytes of device memory that `keep_largest_component_cuda` works in: 4 a pixel of each slice, about, for at most 512
/// slices.
std::size_t keep_largest_component_workspace(std::int64_t slices, std::int64_t rows, std::int64_t columns);

/// What ops::keep_largest_component does to `labels` `[slices, rows, columns]` in device memory: the same labels, by
/// one kernel on `stream`, a CTA for each slice; `slices` are those of all stacks. Labels above 3, which the host
/// refuses, are taken for 3 and may stay or go. `workspace` is device memory of `keep_largest_component_workspace`
/// bytes, aligned to 4, which need not hold anything. Nothing is allocated or waited for.
///
/// Throws std::invalid_argument for extents below 1 or slices of 2^30 pixels or more; cuda::CudaError if the launch
/// fails.
void keep_largest_component_cuda(std::uint8_t* labels, std::int64_t slices, std::int64_t rows, std::int64_t columns,
                                 void* workspace, DeviceStream stream);

}  // namespace cardiacseg::ops
