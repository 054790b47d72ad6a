#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "bundle/bundle.h"
#include "cardiacseg/labels.h"

namespace cardiacseg {

/// Dice of RV, MYO and LV.
using Agreement = std::array<float, kStructureCount>;

/// Agreement of the two stages over a stack: Seg's labels (argmax) against Ref's after the gate, both from logits
/// `[slices, 4, rows, columns]`; `presence` is `[slices, 3]` or empty (no gate). 1 where a structure is in neither.
Agreement stage_agreement(std::span<const float> seg_logits, std::span<const float> ref_logits,
                          std::span<const float> presence, float threshold, std::int64_t slices);

/// Mean Dice that the model expects of its labels: intercept + slope * mean agreement, from 0 to 1.
float predicted_quality(const QualityRule& rule, const Agreement& agreement);

}  // namespace cardiacseg
