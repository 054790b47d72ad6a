#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <string>

#include "cuda/launch.h"

namespace cardiacseg::cuda {

/// A GPU.
struct Device {
  int index;
  std::string name;
  int major;  ///< of the compute capability
  int minor;
};

/// GPUs that answer.
inline int device_count() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  static_cast<void>(cudaGetLastError());
  return status == cudaSuccess ? count : 0;
}

/// Why device_count() is 0, in one phrase; empty where it is not.
inline std::string why_no_device() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  static_cast<void>(cudaGetLastError());
  if (status == cudaSuccess && count > 0) return {};
  return std::string("no GPU answers (CUDA says: ") +
         (status == cudaSuccess ? "there is none" : cudaGetErrorString(status)) + ")";
}

/// The GPU that this thread uses. Throws CudaError.
inline Device current_device() {
  int index = 0;
  check(cudaGetDevice(&index), "cudaGetDevice");
  cudaDeviceProp facts{};
  check(cudaGetDeviceProperties(&facts, index), "cudaGetDeviceProperties");
  return {index, facts.name, facts.major, facts.minor};
}

/// Bytes of memory of the GPU that this thread uses. Throws CudaError.
inline std::size_t total_memory() {
  std::size_t free = 0;
  std::size_t total = 0;
  check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  return total;
}

/// Makes this thread use another GPU as long as it lives.
class DeviceScope {
 public:
  /// Throws CudaError.
  explicit DeviceScope(int index) {
    check(cudaGetDevice(&before_), "cudaGetDevice");
    check(cudaSetDevice(index), "cudaSetDevice");
  }
  DeviceScope(const DeviceScope&) = delete;
  DeviceScope& operator=(const DeviceScope&) = delete;
  ~DeviceScope() { static_cast<void>(cudaSetDevice(before_)); }

 private:
  int before_ = 0;
};

}  // namespace cardiacseg::cuda
