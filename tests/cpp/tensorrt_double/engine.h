#pragma once

#include <memory>
#include <span>
#include <string>

#include "backends/tensorrt/provider.h"

namespace cardiacseg::tensorrt::test {

/// An engine that OpenVINO runs. Throws Error(backend).
std::unique_ptr<Engine> load_engine(const std::string& name, std::span<const std::byte> plan);

}  // namespace cardiacseg::tensorrt::test
