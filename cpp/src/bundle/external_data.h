#pragma once

#include <cstddef>
#include <span>

namespace cardiacseg {

/// Whether the ONNX model in `onnx` has a tensor whose values are in another file, at any place at which ONNX allows a
/// tensor. False for bytes that are not a protobuf message; loading them fails later.
bool has_external_data(std::span<const std::byte> onnx);

}  // namespace cardiacseg
