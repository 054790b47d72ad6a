#pragma once

#include <cuda_runtime.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace cardiacseg::cuda {

/// A call of the CUDA runtime that failed.
class CudaError : public std::runtime_error {
 public:
  CudaError(cudaError_t status, const char* what)
      : std::runtime_error(std::string(what) + ": " + cudaGetErrorString(status)), status_(status) {}

  cudaError_t status() const { return status_; }

 private:
  cudaError_t status_;
};

/// Throws CudaError unless `status` is cudaSuccess. An error that can be left behind is.
inline void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  static_cast<void>(cudaGetLastError());
  throw CudaError(status, what);
}

/// Starts `kernel` on `stream`. Nothing is waited for: what goes wrong inside the kernel shows in a later call.
template <class... Parameters, class... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), dim3 grid, dim3 block, cudaStream_t stream,
            Arguments&&... arguments) {
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.stream = stream;
  check(cudaLaunchKernelEx(&config, kernel, std::forward<Arguments>(arguments)...), name);
}

}  // namespace cardiacseg::cuda
