#include "pipeline/agreement.h"

#include <algorithm>
#include <cstddef>
#include <numeric>

#include "ops/presence_gate.h"

namespace cardiacseg {
namespace {

constexpr ops::Gate kAllOpen{{true, true, true}};

/// Pixels of each label: in the first segmentation, in the second, in both.
struct Counts {
  std::array<std::int64_t, kLabelCount> first{};
  std::array<std::int64_t, kLabelCount> second{};
  std::array<std::int64_t, kLabelCount> both{};
};

/// Label of the largest of a pixel's four logits, those of closed structures left out; the lowest wins a tie.
std::size_t best_label(const float* logits, std::size_t pixels, const ops::Gate& open) {
  std::size_t best = 0;
  for (std::size_t label = 1; label < kLabelCount; ++label) {
    if (open[label - 1] && logits[label * pixels] > logits[best * pixels]) best = label;
  }
  return best;
}

void count_slice(const float* seg_logits, const float* ref_logits, std::size_t pixels, const ops::Gate& open,
                 Counts& counts) {
  for (std::size_t pixel = 0; pixel < pixels; ++pixel) {
    const std::size_t first = best_label(seg_logits + pixel, pixels, kAllOpen);
    const std::size_t second = best_label(ref_logits + pixel, pixels, open);
    ++counts.first[first];
    ++counts.second[second];
    counts.both[first] += first == second;
  }
}

}  // namespace

Agreement stage_agreement(std::span<const float> seg_logits, std::span<const float> ref_logits,
                          std::span<const float> presence, float threshold, std::int64_t slices) {
  const std::size_t pixels = seg_logits.size() / (static_cast<std::size_t>(slices) * kLabelCount);
  const float* gates = presence.empty() ? nullptr : presence.data();
  Counts counts;
  for (std::int64_t slice = 0; slice < slices; ++slice) {
    const std::size_t start = static_cast<std::size_t>(slice) * kLabelCount * pixels;
    count_slice(&seg_logits[start], &ref_logits[start], pixels, ops::presence_gate(gates, slice, threshold), counts);
  }
  Agreement dice;
  for (std::size_t k = 0; k < dice.size(); ++k) {
    const auto sum = static_cast<float>(counts.first[k + 1] + counts.second[k + 1]);
    dice[k] = sum > 0 ? 2.0F * static_cast<float>(counts.both[k + 1]) / sum : 1.0F;
  }
  return dice;
}

float predicted_quality(const QualityRule& rule, const Agreement& agreement) {
  const double mean = std::accumulate(agreement.begin(), agreement.end(), 0.0) / kStructureCount;
  return static_cast<float>(std::clamp(rule.intercept + rule.slope * mean, 0.0, 1.0));
}

}  // namespace cardiacseg
