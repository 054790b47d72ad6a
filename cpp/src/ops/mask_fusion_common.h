#pragma once

#include <cfloat>
#include <cmath>
#include <cstdint>

#include "ops/device.h"
#include "ops/exponential.h"
#include "ops/presence_gate.h"

// What host and kernel do alike, pixel by pixel and voxel by voxel, so that both give the same bits.
namespace cardiacseg::ops {

/// Of background, RV, MYO and LV.
struct alignas(16) Probabilities {
  float of[4];
};

/// Position of the center of a voxel on an axis of the network's whole grid: `share` of the way from pixel `lower` to
/// the next one. Whether it lies in the one or the other is decided in double precision; on the edge between them it
/// lies in both.
struct AxisPoint {
  std::int32_t lower;
  float share;
  bool in_lower;
  bool in_next;
};

/// Voxel `index` at (index + 0.5) * ratio - 0.5, where `ratio` is voxel size / pixel size.
CARDIACSEG_HOST_DEVICE inline AxisPoint axis_point(std::int64_t index, double ratio) {
  const double at = (static_cast<double>(index) + 0.5) * ratio - 0.5;
  const double lower = std::floor(at);
  const double share = at - lower;
  return {static_cast<std::int32_t>(lower), static_cast<float>(share), share <= 0.5, share >= 0.5};
}

/// The crop's pixels on both sides of a voxel center along one axis, in 0..length - 1 even if it lies outside.
struct alignas(16) Neighbors {
  std::int32_t lower;
  std::int32_t upper;
  float upper_share;
  bool inside;  ///< the center lies within the crop's pixels, rim included
};

/// In a crop of `length` pixels that starts at network pixel `first`. Beyond the center of the first or the last pixel
/// that one alone counts.
CARDIACSEG_HOST_DEVICE inline Neighbors neighbors(const AxisPoint& point, std::int32_t first, std::int32_t length) {
  const std::int64_t index = static_cast<std::int64_t>(point.lower) - first;
  const std::int64_t last = static_cast<std::int64_t>(length) - 1;
  const std::int64_t lower = index < 0 ? 0 : index < last ? index : last;
  const std::int64_t upper = lower < last ? lower + 1 : last;
  const bool between = index >= 0 && index < last;
  const bool inside = between || (point.in_lower && index == last) || (point.in_next && index == -1);
  return {static_cast<std::int32_t>(lower), static_cast<std::int32_t>(upper), between ? point.share : 0.0F, inside};
}

/// Turns differences of logits into exponents of 2.
inline float logit_scale(float temperature) {
  constexpr float kLog2OfE = 1.44269504F;
  const float scale = kLog2OfE / temperature;
  return scale < FLT_MAX ? scale : FLT_MAX;  // infinity times a difference of 0 would not be a number
}

CARDIACSEG_HOST_DEVICE inline float larger(float a, float b) { return a < b ? b : a; }

/// Softmax of a pixel's four logits; those of closed structures are then multiplied by 0. All are NaN if a logit is
/// NaN or +infinity, or all are -infinity.
CARDIACSEG_HOST_DEVICE inline Probabilities gated_softmax(const Probabilities& logits, float scale, const Gate& gate) {
  const float largest = larger(larger(logits.of[0], logits.of[1]), larger(logits.of[2], logits.of[3]));
  const float p0 = exp2_of_nonpositive((logits.of[0] - largest) * scale);
  const float p1 = exp2_of_nonpositive((logits.of[1] - largest) * scale);
  const float p2 = exp2_of_nonpositive((logits.of[2] - largest) * scale);
  const float p3 = exp2_of_nonpositive((logits.of[3] - largest) * scale);
  const float factor = 1.0F / ((p0 + p1) + (p2 + p3));
  return {{p0 * factor, p1 * factor * gate.weight(0), p2 * factor * gate.weight(1), p3 * factor * gate.weight(2)}};
}

CARDIACSEG_HOST_DEVICE inline float blend(float a, float b, float share_of_b) {
  return a * (1.0F - share_of_b) + b * share_of_b;
}

CARDIACSEG_HOST_DEVICE inline Probabilities blend(const Probabilities& a, const Probabilities& b, float share_of_b) {
  return {{blend(a.of[0], b.of[0], share_of_b), blend(a.of[1], b.of[1], share_of_b),
           blend(a.of[2], b.of[2], share_of_b), blend(a.of[3], b.of[3], share_of_b)}};
}

/// Label of the largest; the lowest wins a tie, NaN never wins.
CARDIACSEG_HOST_DEVICE inline std::int32_t best_label(const Probabilities& p) {
  const float first = p.of[1] > p.of[0] ? p.of[1] : p.of[0];
  const float second = p.of[2] > first ? p.of[2] : first;
  const std::int32_t label = p.of[1] > p.of[0] ? 1 : 0;
  const std::int32_t next = p.of[2] > first ? 2 : label;
  return p.of[3] > second ? 3 : next;
}

/// The four divided by their sum; background is 1 if the sum is 0 or NaN.
CARDIACSEG_HOST_DEVICE inline Probabilities with_sum_of_one(const Probabilities& p) {
  const float sum = (p.of[0] + p.of[1]) + (p.of[2] + p.of[3]);
  const Probabilities parts{{p.of[0] / sum, p.of[1] / sum, p.of[2] / sum, p.of[3] / sum}};
  const bool some = sum > 0.0F;
  return {{some ? parts.of[0] : 1.0F, some ? parts.of[1] : 0.0F, some ? parts.of[2] : 0.0F, some ? parts.of[3] : 0.0F}};
}

}  // namespace cardiacseg::ops
