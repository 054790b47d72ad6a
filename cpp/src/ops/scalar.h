#pragma once

#include <cstdint>
#include <cstring>

#include "ops/device.h"

namespace cardiacseg::ops {

/// Element type of a tensor that a kernel takes or gives.
enum class ScalarType { float32, float16, bfloat16 };

/// IEEE 754 binary16.
struct Half {
  std::uint16_t bits;
};

/// The upper half of an IEEE 754 binary32.
struct BFloat16 {
  std::uint16_t bits;
};

CARDIACSEG_HOST_DEVICE inline std::uint32_t bits_of(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

CARDIACSEG_HOST_DEVICE inline float float_of(std::uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

CARDIACSEG_HOST_DEVICE inline float to_float(float value) { return value; }

CARDIACSEG_HOST_DEVICE inline float to_float(BFloat16 value) {
  return float_of(static_cast<std::uint32_t>(value.bits) << 16);
}

CARDIACSEG_HOST_DEVICE inline float to_float(Half value) {
#ifdef __CUDA_ARCH__
  float result;
  asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(value.bits));
  return result;
#else
  const std::uint32_t sign = static_cast<std::uint32_t>(value.bits & 0x8000U) << 16;
  const std::uint32_t rest = value.bits & 0x7FFFU;
  // Moved into place the exponent is too small by 127 - 15. Of infinities and NaNs it is too small twice.
  const std::uint32_t moved = rest >= 0x7C00U ? (rest << 13) + (224U << 23) : (rest << 13) + (112U << 23);
  // Subnormal numbers (and 0) have no leading 1: put one there, then take it away as a number.
  const float subnormal = float_of((113U << 23) + (rest << 13)) - float_of(113U << 23);
  return float_of(sign | (rest < 0x0400U ? bits_of(subnormal) : moved));
#endif
}

/// `value` as a T, rounded to nearest, ties to even.
template <class T>
CARDIACSEG_HOST_DEVICE T from_float(float value);

template <>
CARDIACSEG_HOST_DEVICE inline float from_float<float>(float value) {
  return value;
}

template <>
CARDIACSEG_HOST_DEVICE inline BFloat16 from_float<BFloat16>(float value) {
  const std::uint32_t bits = bits_of(value);
  const bool nan = (bits & 0x7FFFFFFFU) > 0x7F800000U;
  const std::uint32_t rounded = nan ? bits | 0x00400000U : bits + 0x7FFFU + ((bits >> 16) & 1U);
  return {static_cast<std::uint16_t>(rounded >> 16)};
}

template <>
CARDIACSEG_HOST_DEVICE inline Half from_float<Half>(float value) {
#ifdef __CUDA_ARCH__
  Half result;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(result.bits) : "f"(value));
  return result;
#else
  const std::uint32_t sign = (bits_of(value) >> 16) & 0x8000U;
  const std::uint32_t size = bits_of(value) & 0x7FFFFFFFU;
  std::uint32_t rest;
  if (size > 0x7F800000U) {
    rest = 0x7E00U;
  } else if (size >= 0x477FF000U) {  // 65520, from where on the nearest is infinity
    rest = 0x7C00U;
  } else if (size < 0x38800000U) {  // subnormal: adding 0.5 leaves multiples of 2^-24, rounded as they should be
    rest = bits_of(float_of(size) + 0.5F) - bits_of(0.5F);
  } else {
    rest = (size - (112U << 23) + 0x0FFFU + ((size >> 13) & 1U)) >> 13;
  }
  return {static_cast<std::uint16_t>(sign | rest)};
#endif
}

}  // namespace cardiacseg::ops
