#pragma once

#include <cstdint>
#include <span>

#include "cardiacseg/views.h"

namespace cardiacseg {

/// Copies one frame of `cine` into `stack`, contiguous float32 `[slices, rows, columns]`, whatever its pixel type,
/// strides and alignment.
void read_stack(const CineView& cine, std::int64_t frame, std::span<float> stack);

}  // namespace cardiacseg
