#pragma once

#include <cuda_runtime.h>
#include <dlfcn.h>

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

/// Number of GPUs that answer.
inline int device_count() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  static_cast<void>(cudaGetLastError());
  return status == cudaSuccess ? count : 0;
}

/// Why device_count() is 0, in one phrase; empty if it is not.
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

/// The GPU on which device memory lies, or -1: host memory, or managed memory, which every GPU reads. Throws CudaError.
inline int device_of(const void* memory) {
  cudaPointerAttributes attributes{};
  check(cudaPointerGetAttributes(&attributes, memory), "cudaPointerGetAttributes");
  return attributes.type == cudaMemoryTypeDevice ? attributes.device : -1;
}

/// Bytes of memory of the GPU that this thread uses. Throws CudaError.
inline std::size_t total_memory() {
  std::size_t free = 0;
  std::size_t total = 0;
  check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  return total;
}

/// Whether this process has a context on this GPU already; true if that cannot be found out. The runtime has no
/// function for it, so the driver is asked, which is loaded wherever the runtime works.
inline bool has_context(int index) {
  using GetState = int (*)(int device, unsigned* flags, int* active);
  static const auto get_state = [] {
    void* driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_NOLOAD);
    return driver == nullptr ? nullptr : reinterpret_cast<GetState>(dlsym(driver, "cuDevicePrimaryCtxGetState"));
  }();
  unsigned flags = 0;
  int active = 1;
  return get_state == nullptr || get_state(index, &flags, &active) != 0 || active != 0;
}

/// Makes this thread use a GPU as long as the scope lives. From CUDA 12 on, choosing a GPU makes a context on it, which
/// takes hundreds of MB. So a thread goes back only to a GPU that has a context. If the first GPU has none, a thread
/// that has chosen no GPU stays on this one.
class DeviceScope {
 public:
  /// Throws CudaError.
  explicit DeviceScope(int index) : index_(index) {
    check(cudaGetDevice(&before_), "cudaGetDevice");
    if (before_ != index) check(cudaSetDevice(index), "cudaSetDevice");
  }
  DeviceScope(const DeviceScope&) = delete;
  DeviceScope& operator=(const DeviceScope&) = delete;
  ~DeviceScope() {
    if (before_ != index_ && has_context(before_)) static_cast<void>(cudaSetDevice(before_));
  }

 private:
  int index_;
  int before_ = 0;
};

}  // namespace cardiacseg::cuda
