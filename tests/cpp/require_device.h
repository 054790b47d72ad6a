#pragma once

#include <cuda_runtime.h>

#include <cstdlib>
#include <iostream>

namespace cardiacseg::test {

/// Ends the program as skipped if no GPU answers.
inline bool require_device() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaSuccess && count > 0) return true;
  std::cout << "skipped: no GPU answers (" << cudaGetErrorString(status) << ")\n";
  std::exit(77);
}
inline const bool kHasDevice = require_device();

}  // namespace cardiacseg::test
