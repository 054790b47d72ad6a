#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "cardiacseg/engines.h"

namespace cardiacseg::tensorrt::fake {

/// The fake's engine: the graph as it came, and the shapes that it may be given.
struct Plan {
  std::vector<EngineInput> inputs;
  std::string onnx;
};

std::vector<std::byte> encode(const Plan& plan);

/// Throws Error(backend) for bytes that are no plan of the fake.
Plan decode(const std::string& name, std::span<const std::byte> bytes);

/// Whether it takes `shape`.
bool contains(const EngineInput& range, const std::vector<std::int64_t>& shape);

/// "2x3x1x32x32"
std::string shape_text(const std::vector<std::int64_t>& shape);

}  // namespace cardiacseg::tensorrt::fake
