#pragma once

#include <string>

#include "cardiacseg/error.h"
#include "cuda/launch.h"

namespace cardiacseg::tensorrt {

/// The result of `action`; a call of the CUDA runtime that fails in it becomes Error(backend), which starts with
/// `what`.
template <class Action>
auto with_cuda(const std::string& what, Action&& action) {
  try {
    return action();
  } catch (const cuda::CudaError& error) {
    throw Error(ErrorCode::backend, what + ": " + error.what());
  }
}

}  // namespace cardiacseg::tensorrt
