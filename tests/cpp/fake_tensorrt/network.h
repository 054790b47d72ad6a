#pragma once

#include <memory>

#include "backends/tensorrt/provider.h"

namespace cardiacseg::tensorrt::fake {

/// An engine that OpenVINO runs. Throws Error(backend).
std::unique_ptr<DeviceNetwork> load_engine(const EngineArtifact& artifact);

}  // namespace cardiacseg::tensorrt::fake
