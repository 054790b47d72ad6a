#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "backends/tensorrt/provider.h"

namespace cardiacseg::tensorrt::test {

/// The double's engine: the graph as it came, and the shapes that it may be given.
struct Plan {
  std::map<std::string, ShapeRange> ranges;  ///< by input
  std::string onnx;
};

std::vector<std::byte> encode(const Plan& plan);

/// Throws Error(backend) for bytes that are no plan of the double.
Plan decode(const std::string& name, std::span<const std::byte> bytes);

/// Whether it takes `shape`.
bool contains(const ShapeRange& range, const std::vector<std::int64_t>& shape);

/// "2x3x1x32x32"
std::string shape_text(const std::vector<std::int64_t>& shape);

}  // namespace cardiacseg::tensorrt::test
