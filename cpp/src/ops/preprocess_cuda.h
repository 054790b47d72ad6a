#pragma once

#include <cstdint>

#include "ops/crop.h"
#include "ops/device.h"
#include "ops/intensity_range.h"
#include "ops/pixels.h"
#include "ops/scalar.h"

namespace cardiacseg::ops {

/// ops::ResampleTaps with its arrays in device memory.
struct DeviceTaps {
  std::int64_t inputs;
  std::int64_t outputs;
  const std::int32_t* first;
  const std::int32_t* count;
  const float* weights;
};

struct DevicePreprocessRules {
  DeviceTaps rows;
  DeviceTaps columns;
  std::int64_t crop_rows;
  std::int64_t crop_columns;
};

/// ops::preprocess in one kernel, on pixels, `ranges` and `origins` in device memory: the same numbers, bit for bit.
/// `output` is device memory `[stacks, slices, crop_rows, crop_columns]` of `type`, float32 or float16 (the float32
/// rounded to nearest). A range with a NaN makes the part of its stack's crop on the grid NaN. Throws
/// std::invalid_argument before any launch, and cuda::CudaError.
void preprocess_cuda(const Pixels& pixels, const DevicePreprocessRules& rules, const IntensityRange* ranges,
                     const CropOrigin* origins, ScalarType type, void* output, DeviceStream stream);

}  // namespace cardiacseg::ops
