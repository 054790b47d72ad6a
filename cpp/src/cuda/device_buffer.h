#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <utility>

#include "cuda/launch.h"

namespace cardiacseg::cuda {

/// Owner of device memory, aligned to 256 bytes. What is there at first is nobody's promise.
class DeviceBuffer {
 public:
  DeviceBuffer() = default;

  /// Throws CudaError. Zero bytes are no memory.
  explicit DeviceBuffer(std::size_t bytes) : bytes_(bytes) {
    if (bytes > 0) check(cudaMalloc(&memory_, bytes), "cudaMalloc");
  }
  DeviceBuffer(DeviceBuffer&& other) noexcept { swap(other); }
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    DeviceBuffer taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~DeviceBuffer() {
    if (memory_ != nullptr) static_cast<void>(cudaFree(memory_));
  }

  void* data() const { return memory_; }
  std::size_t bytes() const { return bytes_; }

  /// The memory as elements of `T`.
  template <class T>
  T* as() const {
    return static_cast<T*>(memory_);
  }

 private:
  void swap(DeviceBuffer& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(bytes_, other.bytes_);
  }

  void* memory_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace cardiacseg::cuda
