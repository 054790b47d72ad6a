#pragma once

#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>

#include "ops/require.h"

namespace cardiacseg::ops {

/// Pixels of each label in two segmentations of one stack. An array of them is `[stacks, 3, 4]` in int32; stage_counts
/// refuses stacks of 2^31 pixels or more, so none overflows.
struct LabelCounts {
  std::int32_t first[4];
  std::int32_t second[4];
  std::int32_t both[4];
};

/// Extents of logits `[stacks * slices, 4, rows, columns]`.
struct StageShape {
  std::int64_t stacks;
  std::int64_t slices;  ///< of one stack
  std::int64_t rows;
  std::int64_t columns;
};

/// Throws std::invalid_argument for extents below 1 and for stacks whose pixels cannot be counted in 32 bits.
inline void require_stages(const StageShape& shape) {
  element_count("logits of stage_counts", {shape.stacks, shape.slices, 4, shape.rows, shape.columns});
  if (shape.slices * shape.rows * shape.columns <= std::numeric_limits<std::int32_t>::max()) return;
  throw std::invalid_argument("logits of stage_counts: expected fewer than 2^31 pixels in a stack, got " +
                              std::to_string(shape.slices) + " x " + std::to_string(shape.rows) + " x " +
                              std::to_string(shape.columns));
}

}  // namespace cardiacseg::ops
