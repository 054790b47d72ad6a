#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "backends/backend.h"

namespace cardiacseg {

/// Networks on the GPU with the provider library of `flavor`, "tensorrt" or "tensorrt_rtx". `engines` is the folder
/// that holds the engine files; empty: the usual one (engines_folder). Throws Error(backend) as `describe_tensorrt`;
/// whether an engine fits shows when a network is loaded. `precision` is that of the engines, "fp16" or "fp32"; empty:
/// either.
std::unique_ptr<DeviceBackend> make_tensorrt_backend(const std::string& flavor, const std::filesystem::path& engines,
                                                     const std::string& precision = {});

/// The library's version and the GPU, in one phrase. Throws Error(backend) where the provider library, the inference
/// library, the driver or a GPU is missing, saying which.
std::string describe_tensorrt(const std::string& flavor);

namespace tensorrt {

/// The GPU that this thread uses.
struct Gpu {
  int index;
  std::string name;
  std::string compute_capability;  ///< "9.0"
};

/// Throws Error(backend) where no driver or no GPU answers, saying so.
Gpu current_gpu();

}  // namespace tensorrt
}  // namespace cardiacseg
