#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "ops/pixels.h"

namespace cardiacseg::ops {

/// The pixels of a stack as `[outer, inner]` lines of `length` pixels, in the order of memory, for operations that do
/// not depend on a pixel's position. Steps in bytes, not negative, 0 along an axis of one pixel.
struct Lines {
  const unsigned char* start;  ///< of the first stack
  std::int64_t outer;
  std::int64_t inner;
  std::int64_t length;
  std::int64_t outer_step;
  std::int64_t inner_step;
  std::int64_t step;

  CARDIACSEG_HOST_DEVICE const unsigned char* line(std::int64_t index) const {
    return start + index / inner * outer_step + index % inner * inner_step;
  }
};

/// Axes that run backwards are turned, the widest step comes first, and lines that touch become one.
inline Lines lines_of(const Pixels& pixels) {
  struct Axis {
    std::int64_t extent;
    std::int64_t step;
  };
  std::array<Axis, 3> axes{
      {{pixels.slices, pixels.slice_step}, {pixels.rows, pixels.row_step}, {pixels.columns, pixels.column_step}}};
  const unsigned char* start = pixels.row(0, 0, 0);
  for (Axis& axis : axes) {
    if (axis.extent == 1) axis.step = 0;
    if (axis.step < 0) {
      start += (axis.extent - 1) * axis.step;
      axis.step = -axis.step;
    }
  }
  std::sort(axes.begin(), axes.end(), [](const Axis& a, const Axis& b) {
    return (a.extent == 1) != (b.extent == 1) ? a.extent == 1 : a.step > b.step;
  });
  auto& [outer, inner, along] = axes;
  for (int round = 0; round < 2; ++round) {
    if (inner.extent > 1 && inner.step == along.extent * along.step) {
      along.extent *= inner.extent;
      inner = outer;
      outer = {1, 0};
    }
  }
  return {start, outer.extent, inner.extent, along.extent, outer.step, inner.step, along.step};
}

}  // namespace cardiacseg::ops
