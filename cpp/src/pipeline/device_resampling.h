#pragma once

#include <cstdint>

#include "cardiacseg/views.h"
#include "cuda/buffer.h"
#include "ops/crop.h"
#include "ops/intensity_range.h"
#include "ops/pixels.h"
#include "ops/preprocess_cuda.h"
#include "ops/resample_taps.h"
#include "pipeline/grid.h"

namespace cardiacseg {

/// ops::ResampleTaps in device memory.
class DeviceAxis {
 public:
  /// They are there for what comes on `stream`. Throws cuda::CudaError.
  DeviceAxis(const ops::ResampleTaps& taps, ops::DeviceStream stream);

  ops::DeviceTaps taps() const;

 private:
  std::int64_t inputs_;
  std::int64_t outputs_;
  cuda::DeviceBuffer first_;
  cuda::DeviceBuffer count_;
  cuda::DeviceBuffer weights_;
};

/// How every plane of a cine comes to `target` mm, on the GPU.
class DeviceResampling {
 public:
  DeviceResampling(const CineShape& shape, const Spacing& spacing, double target, ops::DeviceStream stream);

  /// Extent of one whole stack at the new spacing.
  const Grid& grid() const { return grid_; }

  /// As Resampling::run, on arrays in device memory. Throws cuda::CudaError.
  void run(const ops::Pixels& stacks, const ops::IntensityRange* ranges, const ops::CropOrigin* origins,
           const Grid& crop, float* output, ops::DeviceStream stream) const;

 private:
  DeviceAxis rows_;
  DeviceAxis columns_;
  Grid grid_;
};

}  // namespace cardiacseg
