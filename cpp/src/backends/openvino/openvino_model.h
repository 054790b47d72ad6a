#pragma once

#include <cstdint>
#include <openvino/core/model.hpp>

#include "bundle/float32_layers.h"

namespace cardiacseg {

/// Marks the operations of `model` that compute in float32 although it is compiled for bfloat16. Batch norm is folded
/// into the convolution before it: OpenVINO would do so too, and lose the marks.
void keep_float32_layers(ov::Model& model, const Float32Layers& layers);

/// Memory that `model`, whose shapes are all fixed, takes once it is compiled and has run: what its tensors take at the
/// busiest moment, and its weights twice, as OpenVINO keeps them as they came and in the order that its code reads. It
/// is within a quarter of what was measured (docs/runtime.md).
std::int64_t working_bytes(const ov::Model& model);

}  // namespace cardiacseg
