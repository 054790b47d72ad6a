#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cardiacseg/views.h"
#include "cuda/buffer.h"
#include "ops/pixels.h"

namespace cardiacseg {

/// Frames of a cine in device memory, contiguous, always in the same place.
class DeviceImage {
 public:
  /// Room for cines of this shape and type. Throws cuda::CudaError.
  DeviceImage(const CineShape& shape, PixelType type);

  /// Puts frames from `first` on of a cine in host or device memory on `stream`; one in host memory is read before this
  /// returns, by at most `threads` threads.
  void upload(const CineView& cine, std::int64_t first, int threads, cudaStream_t stream);

  ops::Pixels pixels() const;

 private:
  CineShape shape_;
  PixelType type_;
  cuda::DeviceBuffer pixels_;
  cuda::PinnedBuffer staging_;
};

/// A cine in host memory.
struct HostCopy {
  std::vector<std::byte> pixels;
  CineView cine;
};

/// A copy of the first `frames` frames of `cine`, wherever it lies; waits for it. Throws cuda::CudaError.
HostCopy copy_to_host(const CineView& cine, std::int64_t frames);

}  // namespace cardiacseg
