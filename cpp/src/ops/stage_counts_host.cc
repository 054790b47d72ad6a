#include <cstddef>
#include <vector>

#include "ops/parallel.h"
#include "ops/stage_counts.h"
#include "ops/stage_counts_common.h"

namespace cardiacseg::ops {
namespace {

constexpr Gate kAllOpen{{true, true, true}};

int label_at(const float* logits, std::size_t plane, const Gate& gate) {
  return best_open_label(gate, logits[0], logits[plane], logits[2 * plane], logits[3 * plane]);
}

LabelCounts count_slice(const float* seg, const float* ref, std::size_t plane, const Gate& gate) {
  LabelCounts counts{};
  for (std::size_t pixel = 0; pixel < plane; ++pixel) {
    const int first = label_at(seg + pixel, plane, kAllOpen);
    const int second = label_at(ref + pixel, plane, gate);
    ++counts.first[first];
    ++counts.second[second];
    counts.both[first] += first == second;
  }
  return counts;
}

void add(const LabelCounts& from, LabelCounts& to) {
  for (std::size_t label = 0; label < 4; ++label) {
    to.first[label] += from.first[label];
    to.second[label] += from.second[label];
    to.both[label] += from.both[label];
  }
}

}  // namespace

void stage_counts(std::span<const float> seg, std::span<const float> ref, std::span<const float> presence,
                  float threshold, const StageShape& shape, std::span<LabelCounts> counts, int threads) {
  require_stages(shape);
  const std::int64_t slices = shape.stacks * shape.slices;
  require_size("seg logits of stage_counts", seg.size(), {slices, 4, shape.rows, shape.columns});
  require_size("ref logits of stage_counts", ref.size(), {slices, 4, shape.rows, shape.columns});
  if (!presence.empty()) require_size("presence of stage_counts", presence.size(), {slices, 3});
  require_size("counts of stage_counts", counts.size(), {shape.stacks});
  const auto plane = static_cast<std::size_t>(shape.rows * shape.columns);
  std::vector<LabelCounts> of_slices(static_cast<std::size_t>(slices));
  parallel_for(slices, threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t slice = begin; slice < end; ++slice) {
      const std::size_t start = static_cast<std::size_t>(slice) * 4 * plane;
      const Gate gate = presence_gate(presence.empty() ? nullptr : presence.data(), slice, threshold);
      of_slices[static_cast<std::size_t>(slice)] = count_slice(&seg[start], &ref[start], plane, gate);
    }
  });
  for (std::size_t slice = 0; slice < of_slices.size(); ++slice) {
    add(of_slices[slice], counts[slice / static_cast<std::size_t>(shape.slices)]);
  }
}

}  // namespace cardiacseg::ops
