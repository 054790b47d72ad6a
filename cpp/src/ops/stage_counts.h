#pragma once

#include <span>

#include "ops/label_counts.h"

namespace cardiacseg::ops {

/// How far two stages agree: for each stack the pixels of each label in the first segmentation, in the second, and in
/// both at the same place. The first is the argmax of `seg`, the second that of `ref` among the labels whose gate is
/// open (presence_gate.h; background always is); the lowest label wins a tie, and a NaN never wins.
///
/// `seg` and `ref` are logits `[stacks * slices, 4, rows, columns]`, `presence` is `[stacks * slices, 3]` or empty (no
/// gate). To `counts`, one for each stack, the pixels are added. `threads` at most work on it, 0: as many as there are
/// cores; the results do not depend on that.
///
/// Throws std::invalid_argument for extents below 1, for arrays of other sizes and for stacks of 2^31 pixels or more.
void stage_counts(std::span<const float> seg, std::span<const float> ref, std::span<const float> presence,
                  float threshold, const StageShape& shape, std::span<LabelCounts> counts, int threads = 1);

}  // namespace cardiacseg::ops
