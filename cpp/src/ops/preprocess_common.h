#pragma once

#include <cstdint>

#include "ops/device.h"
#include "ops/intensity_range.h"
#include "ops/scalar.h"

namespace cardiacseg::ops {

/// Normalization as (v * power - low) * scale, clipped. `power` is a power of 2 that brings the range's width near 1,
/// so that no step overflows or vanishes, and changes no digit; each of the three roundings that are left (the range's
/// width, its reciprocal, the product) and the one of the difference is at most half a unit in the last place.
struct NormalizeRule {
  float power;
  float low;
  float scale;  ///< 0: the range has no width
};

CARDIACSEG_HOST_DEVICE inline NormalizeRule normalize_rule(const IntensityRange& range) {
  if (range.low == range.high) return {1, range.low, 0};
  // Halved, the difference does not overflow; if halving rounds, the range is subnormal and the power is the
  // largest.
  const std::uint32_t exponent = bits_of(range.high * 0.5F - range.low * 0.5F) >> 23 & 0xFFU;  // of the width, less 1
  const std::uint32_t turned = exponent >= 252 ? 1 : exponent < 1 ? 252 : 253 - exponent;
  const float power = float_of(turned << 23);
  const float low = range.low * power;
  const float width = range.high * power - low;
  return {power, low, 1 / width};
}

CARDIACSEG_HOST_DEVICE inline float normalized(float value, const NormalizeRule& rule) {
  const float share = (value * rule.power - rule.low) * rule.scale;
  const float raised = 0.0F > share ? 0.0F : share;  // a NaN stays one
  const float clipped = 1.0F < raised ? 1.0F : raised;
  return rule.scale == 0 ? 0.0F : clipped;
}

}  // namespace cardiacseg::ops
