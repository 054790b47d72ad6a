#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

#include "cuda/launch.h"

namespace cardiacseg::cuda {

/// Stream-ordered allocation of device memory, without waiting for the device. Up to `kept` freed bytes stay for later
/// allocations. On a GPU without memory pools it uses cudaMalloc and cudaFree.
class MemoryPool {
 public:
  /// Throws CudaError.
  MemoryPool(int device, std::uint64_t kept) {
    int supported = 0;
    check(cudaDeviceGetAttribute(&supported, cudaDevAttrMemoryPoolsSupported, device), "cudaDeviceGetAttribute");
    if (supported == 0) return;
    cudaMemPoolProps properties{};
    properties.allocType = cudaMemAllocationTypePinned;
    properties.location.type = cudaMemLocationTypeDevice;
    properties.location.id = device;
    check(cudaMemPoolCreate(&pool_, &properties), "cudaMemPoolCreate");
    check(cudaMemPoolSetAttribute(pool_, cudaMemPoolAttrReleaseThreshold, &kept), "cudaMemPoolSetAttribute");
  }
  MemoryPool(const MemoryPool&) = delete;
  MemoryPool& operator=(const MemoryPool&) = delete;
  ~MemoryPool() {
    if (pool_ != nullptr) static_cast<void>(cudaMemPoolDestroy(pool_));
  }

  /// Aligned to 256 bytes, usable by later work on `stream`. Throws CudaError.
  void* allocate(std::size_t bytes, cudaStream_t stream) const {
    void* memory = nullptr;
    check(pool_ == nullptr ? cudaMalloc(&memory, bytes) : cudaMallocFromPoolAsync(&memory, bytes, pool_, stream),
          "allocation on the GPU");
    return memory;
  }

  /// Frees it after the work on `stream`.
  void release(void* memory, cudaStream_t stream) const noexcept {
    static_cast<void>(pool_ == nullptr ? cudaFree(memory) : cudaFreeAsync(memory, stream));
  }

  /// Returns all unused memory to the device.
  void trim() const noexcept {
    if (pool_ != nullptr) static_cast<void>(cudaMemPoolTrimTo(pool_, 0));
  }

 private:
  cudaMemPool_t pool_ = nullptr;
};

}  // namespace cardiacseg::cuda
