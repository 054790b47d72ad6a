#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "backends/tensorrt/provider.h"
#include "backends/tensorrt/provider/version.h"

namespace cardiacseg::tensorrt {

/// The engine in `plan`; `name` is for messages. Throws Error(backend).
std::unique_ptr<nvinfer1::ICudaEngine> deserialize(const std::string& name, std::span<const std::byte> plan);

/// Likewise, as the provider gives it.
std::unique_ptr<Engine> load_engine(const std::string& name, std::span<const std::byte> plan);

}  // namespace cardiacseg::tensorrt
