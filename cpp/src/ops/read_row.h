#pragma once

#include <cstdint>
#include <span>

#include "cardiacseg/pixel_type.h"

namespace cardiacseg::ops {

/// Fills `row` with as many pixels from `first` on, `step` bytes apart, each as the float32 nearest to it.
void read_row(const void* first, PixelType type, std::int64_t step, std::span<float> row);

}  // namespace cardiacseg::ops
