#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "check.h"
#include "cuda/launch.h"
#include "require_device.h"

// Under the address sanitizer the simulated GPU reports whatever touches a canary, reads too.
#if defined(CARDIACSEG_SIMULATED_GPU) && defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, bytes) (static_cast<void>(address), static_cast<void>(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(address, bytes) (static_cast<void>(address), static_cast<void>(bytes))
#endif

namespace cardiacseg::test {

/// Whether the run is watched by a tool that makes kernels a hundred times slower: then the largest cases are left out.
inline bool watched() { return std::getenv("CARDIACSEG_SANITIZER") != nullptr; }

/// An array in device memory with a canary on either side of it, which its end checks. Before it is written every byte
/// is 0xFF: a NaN, or a number that no test wants.
template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(std::size_t size) : size_(size) {
    const std::size_t bytes = size * sizeof(T);
    cuda::check(cudaMalloc(reinterpret_cast<void**>(&memory_), bytes + 2 * kCanary), "cudaMalloc");
    cuda::check(cudaMemset(memory_, kCanaryByte, kCanary), "cudaMemset");
    cuda::check(cudaMemset(memory_ + kCanary + bytes, kCanaryByte, kCanary), "cudaMemset");
    // A tool that looks for reads of what nobody wrote must be left to find them.
    if (!watched()) cuda::check(cudaMemset(memory_ + kCanary, 0xFF, bytes), "cudaMemset");
    ASAN_POISON_MEMORY_REGION(memory_, kCanary);
    ASAN_POISON_MEMORY_REGION(memory_ + kCanary + size * sizeof(T), kCanary);
  }
  explicit DeviceArray(const std::vector<T>& values) : DeviceArray(values.size()) {
    cuda::check(cudaMemcpy(data(), values.data(), size_ * sizeof(T), cudaMemcpyHostToDevice), "cudaMemcpy");
  }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;
  ~DeviceArray() {
    ASAN_UNPOISON_MEMORY_REGION(memory_, kCanary);
    ASAN_UNPOISON_MEMORY_REGION(memory_ + kCanary + size_ * sizeof(T), kCanary);
    CHECK(intact());
    static_cast<void>(cudaFree(memory_));
  }

  T* data() const { return reinterpret_cast<T*>(memory_ + kCanary); }
  std::size_t size() const { return size_; }

  /// What is there once all kernels have ended.
  std::vector<T> values() const {
    cuda::check(cudaDeviceSynchronize(), "kernel");
    std::vector<T> result(size_);
    cuda::check(cudaMemcpy(result.data(), data(), size_ * sizeof(T), cudaMemcpyDeviceToHost), "cudaMemcpy");
    return result;
  }

 private:
  static constexpr std::size_t kCanary = 256;  // keeps the alignment of cudaMalloc
  static constexpr int kCanaryByte = 0xA5;

  bool intact() const {
    std::vector<std::uint8_t> canaries(2 * kCanary);
    const std::byte* behind = memory_ + kCanary + size_ * sizeof(T);
    const bool read = cudaMemcpy(canaries.data(), memory_, kCanary, cudaMemcpyDeviceToHost) == cudaSuccess &&
                      cudaMemcpy(&canaries[kCanary], behind, kCanary, cudaMemcpyDeviceToHost) == cudaSuccess;
    return read && std::all_of(canaries.begin(), canaries.end(), [](std::uint8_t byte) { return byte == kCanaryByte; });
  }

  std::byte* memory_ = nullptr;
  std::size_t size_;
};

}  // namespace cardiacseg::test
