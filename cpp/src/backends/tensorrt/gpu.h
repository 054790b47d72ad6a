#pragma once

#include <string>

namespace cardiacseg::tensorrt {

/// The GPU that this thread uses.
struct Gpu {
  int index;
  std::string name;
  std::string compute_capability;  ///< "9.0"
};

/// Throws Error(backend) where no driver or no GPU answers, saying so.
Gpu current_gpu();

}  // namespace cardiacseg::tensorrt
