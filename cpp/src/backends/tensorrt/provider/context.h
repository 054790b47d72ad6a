#pragma once

#include <memory>
#include <string>

#include "backends/tensorrt/provider.h"
#include "backends/tensorrt/provider/version.h"

namespace cardiacseg::tensorrt {

/// A context of `engine` whose memory is its user's; `name` is for messages. Throws Error(backend).
std::unique_ptr<Context> make_context(const std::string& name, std::shared_ptr<nvinfer1::ICudaEngine> engine);

}  // namespace cardiacseg::tensorrt
