#pragma once

#include <cuda_runtime.h>

#include <cstddef>

#include "cuda/launch.h"

namespace cardiacseg::cuda {

/// Puts a copy on `stream`; the host's side must be pinned, or the host may wait. All throw CudaError.
inline void upload(void* device, const void* host, std::size_t bytes, cudaStream_t stream) {
  check(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, stream), "copy to the GPU");
}
inline void download(void* host, const void* device, std::size_t bytes, cudaStream_t stream) {
  check(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, stream), "copy from the GPU");
}
inline void copy(void* to, const void* from, std::size_t bytes, cudaStream_t stream) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream), "copy on the GPU");
}

/// Sets every byte, on `stream`.
inline void fill(void* device, int byte, std::size_t bytes, cudaStream_t stream) {
  check(cudaMemsetAsync(device, byte, bytes, stream), "cudaMemsetAsync");
}

}  // namespace cardiacseg::cuda
