#pragma once

#include <openvino/core/model.hpp>

#include "bundle/float32_layers.h"

namespace cardiacseg {

/// Marks the operations of `model` that compute in float32 although it is compiled for bfloat16. Batch norm is folded
/// into the convolution before it: OpenVINO would do so too, and lose the marks.
void keep_float32_layers(ov::Model& model, const Float32Layers& layers);

}  // namespace cardiacseg
