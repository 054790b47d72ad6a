#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <utility>

#include "cuda/launch.h"

namespace cardiacseg::cuda {

/// Owner of host memory that the GPU reads and writes while the host goes on.
class PinnedBuffer {
 public:
  PinnedBuffer() = default;

  /// Throws CudaError. Zero bytes are no memory.
  explicit PinnedBuffer(std::size_t bytes) : bytes_(bytes) {
    if (bytes > 0) check(cudaMallocHost(&memory_, bytes), "cudaMallocHost");
  }
  PinnedBuffer(PinnedBuffer&& other) noexcept { swap(other); }
  PinnedBuffer& operator=(PinnedBuffer&& other) noexcept {
    PinnedBuffer taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~PinnedBuffer() {
    if (memory_ != nullptr) static_cast<void>(cudaFreeHost(memory_));
  }

  void* data() const { return memory_; }
  std::size_t bytes() const { return bytes_; }

  /// The memory as elements of `T`.
  template <class T>
  T* as() const {
    return static_cast<T*>(memory_);
  }

 private:
  void swap(PinnedBuffer& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(bytes_, other.bytes_);
  }

  void* memory_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace cardiacseg::cuda
