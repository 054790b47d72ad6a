#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "bundle/bundle.h"
#include "cardiacseg/labels.h"
#include "cardiacseg/options.h"
#include "cardiacseg/segmentation.h"
#include "ops/label_counts.h"
#include "pipeline/execution_plan.h"

namespace cardiacseg {

/// Frames of a cine that go through the networks together.
struct FrameBatch {
  std::int64_t first;
  std::int64_t count;
};

/// Elements of `values` that belong to the frames of `batch`; `size` are those of one frame.
template <class Values>
auto part(Values& values, const FrameBatch& batch, std::int64_t size) {
  return std::span(values).subspan(static_cast<std::size_t>(batch.first * size),
                                   static_cast<std::size_t>(batch.count * size));
}

/// A result of the final sizes with the values of what is not there.
Segmentation empty_segmentation(const CineShape& shape, const RunOptions& options);

/// Writes what `found` says of the frames of `batch`.
void collect(const Manifest& manifest, const BatchResults& found, const FrameBatch& batch, Segmentation& result);

/// Dice of RV, MYO and LV.
using Agreement = std::array<float, kStructureCount>;

/// Agreement of the two stages over a stack, from the pixels of each label that ops::stage_counts gives. 1 if a
/// structure is in neither.
Agreement stage_agreement(const ops::LabelCounts& counts);

/// Mean Dice that the model expects of its labels: intercept + slope * mean agreement, from 0 to 1.
float predicted_quality(const QualityRule& rule, const Agreement& agreement);

}  // namespace cardiacseg
