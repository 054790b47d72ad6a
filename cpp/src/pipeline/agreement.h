#pragma once

#include <array>

#include "bundle/bundle.h"
#include "cardiacseg/labels.h"
#include "ops/label_counts.h"

namespace cardiacseg {

/// Dice of RV, MYO and LV.
using Agreement = std::array<float, kStructureCount>;

/// Agreement of the two stages over a stack, from the pixels of each label that ops::stage_counts gives. 1 where a
/// structure is in neither.
Agreement stage_agreement(const ops::LabelCounts& counts);

/// Mean Dice that the model expects of its labels: intercept + slope * mean agreement, from 0 to 1.
float predicted_quality(const QualityRule& rule, const Agreement& agreement);

}  // namespace cardiacseg
