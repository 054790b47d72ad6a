#include "backends/tensorrt/gpu.h"

#include "backends/tensorrt/cuda_calls.h"
#include "cuda/device.h"

namespace cardiacseg::tensorrt {

Gpu current_gpu() {
  if (const std::string why = cuda::why_no_device(); !why.empty()) throw Error(ErrorCode::backend, why);
  const cuda::Device device = with_cuda("the GPU does not answer", [] { return cuda::current_device(); });
  return {device.index, device.name, std::to_string(device.major) + "." + std::to_string(device.minor)};
}

}  // namespace cardiacseg::tensorrt
