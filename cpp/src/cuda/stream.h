#pragma once

#include <cuda_runtime.h>

#include <utility>

#include "cuda/launch.h"

namespace cardiacseg::cuda {

/// A stream that does not wait for the default stream.
class Stream {
 public:
  /// Throws CudaError.
  Stream() { check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags"); }
  Stream(Stream&& other) noexcept : stream_(std::exchange(other.stream_, nullptr)) {}
  Stream& operator=(Stream&& other) noexcept {
    std::swap(stream_, other.stream_);
    return *this;
  }
  ~Stream() {
    if (stream_ != nullptr) static_cast<void>(cudaStreamDestroy(stream_));
  }

  cudaStream_t get() const { return stream_; }

  /// Waits for all its work. Throws CudaError, also for failures inside a kernel.
  void synchronize() const { check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize"); }

 private:
  cudaStream_t stream_ = nullptr;
};

}  // namespace cardiacseg::cuda
