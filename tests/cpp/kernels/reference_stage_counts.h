#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ops/label_counts.h"

/// stage_counts in plain loops, as its header words it.
namespace cardiacseg::test {

inline std::size_t reference_label(std::span<const float> logits, std::size_t slice, std::size_t pixel,
                                   std::size_t plane, const bool (&open)[4]) {
  std::size_t best = 0;
  for (std::size_t label = 1; label < 4; ++label) {
    const std::size_t first = slice * 4 * plane + pixel;
    if (open[label] && logits[first + label * plane] > logits[first + best * plane]) best = label;
  }
  return best;
}

inline std::vector<ops::LabelCounts> reference_stage_counts(std::span<const float> seg, std::span<const float> ref,
                                                            std::span<const float> presence, float threshold,
                                                            const ops::StageShape& shape) {
  std::vector<ops::LabelCounts> counts(static_cast<std::size_t>(shape.stacks), ops::LabelCounts{});
  const auto plane = static_cast<std::size_t>(shape.rows * shape.columns);
  const auto slices = static_cast<std::size_t>(shape.slices);
  for (std::size_t slice = 0; slice < counts.size() * slices; ++slice) {
    const auto open = [&](std::size_t k) { return presence.empty() || presence[3 * slice + k] > threshold; };
    for (std::size_t pixel = 0; pixel < plane; ++pixel) {
      const std::size_t first = reference_label(seg, slice, pixel, plane, {true, true, true, true});
      const std::size_t second = reference_label(ref, slice, pixel, plane, {true, open(0), open(1), open(2)});
      ops::LabelCounts& of_stack = counts[slice / slices];
      ++of_stack.first[first];
      ++of_stack.second[second];
      if (first == second) ++of_stack.both[first];
    }
  }
  return counts;
}

}  // namespace cardiacseg::test
