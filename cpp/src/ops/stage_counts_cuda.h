#pragma once

#include "ops/device.h"
#include "ops/label_counts.h"

namespace cardiacseg::ops {

/// What ops::stage_counts does, on arrays in device memory: the same counts, by one kernel on `stream` that reads each
/// logit once. `seg` and `ref` are float32 `[stacks * slices, 4, rows, columns]`, `presence` is `[stacks * slices, 3]`
/// or nullptr (no gate). To `counts`, one for each stack, the pixels are added: the caller sets them to 0 before.
/// Nothing is allocated or waited for.
///
/// Throws what ops::stage_counts throws for the extents before the launch, and cuda::CudaError.
void stage_counts_cuda(const float* seg, const float* ref, const float* presence, float threshold,
                       const StageShape& shape, LabelCounts* counts, DeviceStream stream);

}  // namespace cardiacseg::ops
