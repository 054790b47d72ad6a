#include <algorithm>
#include <cstddef>

#include "ops/crop_pad.h"
#include "ops/require.h"

namespace cardiacseg::ops {
namespace {

/// Pixels `begin` to `end` of a window that starts at `first` lie inside an axis of `length` pixels.
struct Overlap {
  std::int64_t begin;
  std::int64_t end;
};

Overlap overlap(std::int64_t first, std::int64_t count, std::int64_t length) {
  if (first <= -count || first >= length) return {0, 0};
  return {std::max<std::int64_t>(0, -first), std::min(count, length - first)};
}

}  // namespace

void crop_pad(std::span<const float> input, std::int64_t planes, std::int64_t rows, std::int64_t columns,
              const Window& window, std::span<float> output) {
  require_size("input of crop_pad", input.size(), {planes, rows, columns});
  require_size("output of crop_pad", output.size(), {planes, window.rows, window.columns});
  std::fill(output.begin(), output.end(), 0.0F);
  const Overlap down = overlap(window.top, window.rows, rows);
  const Overlap across = overlap(window.left, window.columns, columns);
  if (across.begin == across.end) return;
  for (std::int64_t plane = 0; plane < planes; ++plane) {
    for (std::int64_t row = down.begin; row < down.end; ++row) {
      const float* from = input.data() + (plane * rows + window.top + row) * columns + window.left + across.begin;
      float* to = output.data() + (plane * window.rows + row) * window.columns + across.begin;
      std::copy_n(from, across.end - across.begin, to);
    }
  }
}

}  // namespace cardiacseg::ops
