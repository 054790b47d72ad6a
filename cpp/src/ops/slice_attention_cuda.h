#pragma once

#include <cstdint>

#include "ops/device.h"
#include "ops/slice_attention.h"

namespace cardiacseg::ops {

/// slice_attention.h's operations as CUDA kernels on `stream`: one launch each, nothing is allocated or waited for.
///
/// Pointers are to device memory, `qkv` and `output` aligned to 16 bytes; rows are not copied. The head size
/// is 8, 16, 32 or 64. float16 and bfloat16 run on tensor cores, with probabilities rounded to that type before they
/// meet the values; float32, and bfloat16 before compute capability 8, on the cores for float32. `cu_slices` cannot be
/// checked: it must be as said there. Throws std::invalid_argument for sizes and alignment, cuda::CudaError if the
/// launch fails.
void inter_slice_attention_cuda(ScalarType type, const void* qkv, const std::int32_t* cu_slices,
                                const AttentionShape& shape, void* output, DeviceStream stream);

void intra_slice_attention_cuda(ScalarType type, const void* qkv, const AttentionShape& shape, void* output,
                                DeviceStream stream);

}  // namespace cardiacseg::ops
