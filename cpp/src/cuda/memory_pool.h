#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

#include "cuda/launch.h"

namespace cardiacseg::cuda {

/// Device memory that is taken and given back in the order of a stream, without a wait of the device. What is given
/// back stays for the next allocation, as long as it is not more than `kept` bytes. On a GPU without memory pools it is
/// cudaMalloc and cudaFree.
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

  /// Aligned to 256 bytes, there for what comes on `stream`. Throws CudaError.
  void* allocate(std::size_t bytes, cudaStream_t stream) const {
    void* memory = nullptr;
    check(pool_ == nullptr ? cudaMalloc(&memory, bytes) : cudaMallocFromPoolAsync(&memory, bytes, pool_, stream),
          "allocation on the GPU");
    return memory;
  }

  /// Gives it back behind what is on `stream`.
  void release(void* memory, cudaStream_t stream) const noexcept {
    static_cast<void>(pool_ == nullptr ? cudaFree(memory) : cudaFreeAsync(memory, stream));
  }

  /// Gives the device all that is not in use.
  void trim() const noexcept {
    if (pool_ != nullptr) static_cast<void>(cudaMemPoolTrimTo(pool_, 0));
  }

 private:
  cudaMemPool_t pool_ = nullptr;
};

}  // namespace cardiacseg::cuda
