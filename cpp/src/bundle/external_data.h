#pragma once

#include <cstddef>
#include <span>

namespace cardiacseg {

/// Whether the ONNX model in `onnx` has a tensor whose values lie in another file, at any place where ONNX allows a
/// tensor. Bytes that are no protobuf message have none; whoever loads them refuses them.
bool has_external_data(std::span<const std::byte> onnx);

}  // namespace cardiacseg
