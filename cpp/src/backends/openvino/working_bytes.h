#pragma once

#include <cstdint>
#include <openvino/core/model.hpp>

namespace cardiacseg {

/// Memory that `model`, whose shapes are all fixed, takes once it is compiled and has run: what its tensors take at the
/// busiest moment, and its weights twice, as OpenVINO keeps them as they came and in the order that its code reads. It
/// is within a quarter of what was measured (docs/runtime.md).
std::int64_t working_bytes(const ov::Model& model);

}  // namespace cardiacseg
