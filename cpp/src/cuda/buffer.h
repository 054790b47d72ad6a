#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <utility>

#include "cuda/launch.h"

namespace cardiacseg::cuda {

/// Owner of memory that `Source` allocates and releases. The memory is not initialized.
template <class Source>
class Buffer {
 public:
  Buffer() = default;

  /// Throws CudaError. Zero bytes are no memory.
  explicit Buffer(std::size_t bytes) : bytes_(bytes) {
    if (bytes > 0) check(Source::allocate(&memory_, bytes), Source::kAllocation);
  }
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    Buffer taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~Buffer() {
    if (memory_ != nullptr) static_cast<void>(Source::release(memory_));
  }

  void* data() const { return memory_; }
  std::size_t bytes() const { return bytes_; }

  /// The memory as elements of `T`.
  template <class T>
  T* as() const {
    return static_cast<T*>(memory_);
  }

 private:
  void swap(Buffer& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(bytes_, other.bytes_);
  }

  void* memory_ = nullptr;
  std::size_t bytes_ = 0;
};

struct DeviceMemory {
  static constexpr const char* kAllocation = "cudaMalloc";
  static cudaError_t allocate(void** memory, std::size_t bytes) { return cudaMalloc(memory, bytes); }
  static cudaError_t release(void* memory) { return cudaFree(memory); }
};

struct PinnedMemory {
  static constexpr const char* kAllocation = "cudaMallocHost";
  static cudaError_t allocate(void** memory, std::size_t bytes) { return cudaMallocHost(memory, bytes); }
  static cudaError_t release(void* memory) { return cudaFreeHost(memory); }
};

/// Device memory, aligned to 256 bytes.
using DeviceBuffer = Buffer<DeviceMemory>;

/// Host memory that the GPU reads and writes while the host goes on.
using PinnedBuffer = Buffer<PinnedMemory>;

}  // namespace cardiacseg::cuda
