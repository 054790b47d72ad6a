#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "backends/backend.h"

namespace cardiacseg {

/// Networks on the GPU with the provider library of `flavour`, "tensorrt" or "tensorrt_rtx". `engines` is the folder
/// that holds the engine files; empty: the usual one (engines_folder). Throws Error(backend) as `describe_tensorrt`;
/// whether an engine fits shows when a network is loaded. `precision` is that of the engines, "fp16" or "fp32"; empty:
/// either.
std::unique_ptr<DeviceBackend> make_tensorrt_backend(const std::string& flavour, const std::filesystem::path& engines,
                                                     const std::string& precision = {});

/// The library's version and the GPU, in one phrase. Throws Error(backend) where the provider library, the inference
/// library, the driver or a GPU is missing, saying which.
std::string describe_tensorrt(const std::string& flavour);

}  // namespace cardiacseg
