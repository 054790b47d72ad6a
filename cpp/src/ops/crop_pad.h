#pragma once

#include <cstdint>
#include <span>

namespace cardiacseg::ops {

/// A window of `rows` x `columns` pixels whose first pixel lies at (`top`, `left`), which may be negative.
struct Window {
  std::int64_t top;
  std::int64_t left;
  std::int64_t rows;
  std::int64_t columns;
};

/// Cuts `window` out of every plane of `[planes, rows, columns]`; pixels outside the input are 0.
/// `output` is `[planes, window.rows, window.columns]`.
void crop_pad(std::span<const float> input, std::int64_t planes, std::int64_t rows, std::int64_t columns,
              const Window& window, std::span<float> output);

}  // namespace cardiacseg::ops
