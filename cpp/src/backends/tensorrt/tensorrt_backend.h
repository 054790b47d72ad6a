#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "backends/backend.h"

namespace cardiacseg {

/// Which engines a backend takes.
struct EngineChoice {
  std::string flavor;                 ///< "tensorrt" or "tensorrt_rtx"
  std::filesystem::path folder = {};  ///< of the engine files; empty: the usual one (engines_folder)
  std::string precision = {};         ///< "fp16" or "fp32"; empty: either
};

/// Networks on the GPU with the provider library of a flavor. Throws Error(backend) as `describe_tensorrt`; whether an
/// engine fits shows when a network is loaded.
std::unique_ptr<DeviceBackend> make_tensorrt_backend(EngineChoice choice);

/// The library's version and the GPU, in one phrase. Throws Error(backend) if the provider library, the inference
/// library, the driver or a GPU is missing, saying which.
std::string describe_tensorrt(const std::string& flavor);

/// What the header of an engine that fits says.
struct FittingEngine {
  std::string precision;  ///< "fp16" or "fp32"
  bool verified;          ///< whether it has passed the parity gate on this GPU
};

/// By stage, the bundle's ONNX files.
using StageFiles = std::vector<std::pair<std::string, std::span<const std::byte>>>;

/// The engines that the backend would take for `files`, from the headers of engine files alone: nothing is loaded, and
/// nothing is made on the GPU. Throws Error(backend) if one is missing, and as `describe_tensorrt`.
std::vector<FittingEngine> find_engines(const EngineChoice& choice, const StageFiles& files);

namespace tensorrt {

/// The GPU that this thread uses.
struct Gpu {
  int index;
  std::string name;
  std::string compute_capability;  ///< "9.0"
};

/// Throws Error(backend) if no driver or no GPU answers, saying so.
Gpu current_gpu();

/// Makes this thread use GPU `index` as long as the result lives, which must end in the same thread; nothing if no GPU
/// answers, as `current_gpu` then says. Throws Error(backend) if there are fewer GPUs.
std::shared_ptr<const void> use_gpu(int index);

}  // namespace tensorrt
}  // namespace cardiacseg
