#pragma once

#include <cstdint>

#include "ops/device.h"
#include "ops/scalar.h"

namespace cardiacseg::ops {

// Exponentials of a softmax, which subtracts the largest value first: the same bits on the host and on any GPU, as long
// as the compiler fuses no multiplication with an addition. No branch and no table, so that loops over them vectorise.

/// Added to a float of less than 2^22 it leaves the nearest whole number, ties to even, in the lowest bits.
inline constexpr float kRoundToWhole = 12582912.0F;  // 1.5 * 2^23

/// 2^(n + f) for f in -0.5..0.5, with n in the lowest bits of `whole` = n + kRoundToWhole, n in -126..0. The polynomial
/// has the smallest largest relative error of its degree (4e-9) among those with 1 at 0.
CARDIACSEG_HOST_DEVICE inline float exp2_of_parts(float whole, float f) {
  float power = 0.000148157123F;
  power = power * f + 0.00133613474F;
  power = power * f + 0.00961911958F;
  power = power * f + 0.0555040874F;
  power = power * f + 0.240226507F;
  power = power * f + 0.693147182F;
  power = power * f + 1.0F;
  // A product, not a sum of bits, so that NaN stays NaN. It is exact.
  return power * float_of((bits_of(whole) << 23) + (127U << 23));
}

/// 2^x for x <= 0, within 2 units in the last place. 0 below -126, because the result would not be a normal number.
CARDIACSEG_HOST_DEVICE inline float exp2_of_nonpositive(float x) {
  const float whole = x + kRoundToWhole;
  const float power = exp2_of_parts(whole, x - (whole - kRoundToWhole));
  return x < -126.0F ? 0.0F : power;
}

/// e^x for x <= 0, within 2 units in the last place. 0 below -87, because the result would soon not be a normal number.
CARDIACSEG_HOST_DEVICE inline float exp_of_nonpositive(float x) {
  constexpr float kLog2OfE = 1.44269504F;
  constexpr float kLn2High = 0.693359375F;  // 10 bits, so that a whole number times it is exact
  constexpr float kLn2Low = -2.12194440e-4F;
  const float whole = x * kLog2OfE + kRoundToWhole;
  const float n = whole - kRoundToWhole;
  const float rest = (x - n * kLn2High) - n * kLn2Low;
  const float power = exp2_of_parts(whole, rest * kLog2OfE);
  return x < -87.0F ? 0.0F : power;
}

}  // namespace cardiacseg::ops
