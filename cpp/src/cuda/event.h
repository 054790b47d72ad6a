#pragma once

#include <cuda_runtime.h>

#include <utility>

#include "cuda/launch.h"

namespace cardiacseg::cuda {

/// A mark on a stream that knows when it was passed.
class Event {
 public:
  /// Throws CudaError.
  Event() { check(cudaEventCreateWithFlags(&event_, cudaEventDefault), "cudaEventCreateWithFlags"); }
  Event(Event&& other) noexcept : event_(std::exchange(other.event_, nullptr)) {}
  Event& operator=(Event&& other) noexcept {
    std::swap(event_, other.event_);
    return *this;
  }
  ~Event() {
    if (event_ != nullptr) static_cast<void>(cudaEventDestroy(event_));
  }

  cudaEvent_t get() const { return event_; }

  /// Sets the mark after all work on `stream`; in a capture it becomes a part of the graph, and each launch sets it
  /// again. Throws CudaError.
  void record(cudaStream_t stream) const {
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    check(cudaStreamIsCapturing(stream, &status), "cudaStreamIsCapturing");
    const unsigned flags = status == cudaStreamCaptureStatusNone ? cudaEventRecordDefault : cudaEventRecordExternal;
    check(cudaEventRecordWithFlags(event_, stream, flags), "cudaEventRecordWithFlags");
  }

  /// Makes later work on `stream` wait for the mark; the host does not wait. Throws CudaError.
  void make_wait(cudaStream_t stream) const { check(cudaStreamWaitEvent(stream, event_, 0), "cudaStreamWaitEvent"); }

  /// Milliseconds from `start` to this mark, both passed. Throws CudaError.
  float since(const Event& start) const {
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, start.event_, event_), "cudaEventElapsedTime");
    return milliseconds;
  }

 private:
  cudaEvent_t event_ = nullptr;
};

}  // namespace cardiacseg::cuda
