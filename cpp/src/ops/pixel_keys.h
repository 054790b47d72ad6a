#pragma once

#include <cstdint>
#include <type_traits>

#include "ops/device.h"
#include "ops/scalar.h"

namespace cardiacseg::ops {

/// Unsigned numbers in the order of the pixels' values, so that ranks can be found by counting. Integers of one or two
/// bytes have keys of as many: the value, moved up if it has a sign.
template <class Pixel>
struct PixelKeys {
  static constexpr bool kShort = std::is_integral<Pixel>::value && sizeof(Pixel) <= 2;
  static constexpr std::uint32_t kKeys = kShort ? 1U << (8 * sizeof(Pixel) % 32) : 65536U;  ///< of one pass of counting
  static constexpr std::int32_t kOffset = std::is_signed<Pixel>::value ? static_cast<std::int32_t>(kKeys / 2) : 0;

  CARDIACSEG_HOST_DEVICE static std::uint32_t key(Pixel pixel) {
    return key(pixel, std::integral_constant<bool, kShort>());
  }
  CARDIACSEG_HOST_DEVICE static float value(std::uint32_t key) {
    return value(key, std::integral_constant<bool, kShort>());
  }

 private:
  CARDIACSEG_HOST_DEVICE static std::uint32_t key(Pixel pixel, std::true_type) {
    return static_cast<std::uint32_t>(static_cast<std::int32_t>(pixel) + kOffset);
  }
  CARDIACSEG_HOST_DEVICE static float value(std::uint32_t key, std::true_type) {
    return static_cast<float>(static_cast<std::int32_t>(key) - kOffset);
  }

  /// All others have keys of 32 bits: those of the float32, its sign bit turned, and all bits of negative ones. Adding
  /// 0 makes one zero of the two.
  CARDIACSEG_HOST_DEVICE static std::uint32_t key(Pixel pixel, std::false_type) {
    const std::uint32_t bits = bits_of(static_cast<float>(pixel) + 0.0F);
    return bits ^ ((bits >> 31) != 0 ? 0xFFFFFFFFU : 0x80000000U);
  }
  CARDIACSEG_HOST_DEVICE static float value(std::uint32_t key, std::false_type) {
    return float_of(key ^ ((key >> 31) != 0 ? 0x80000000U : 0xFFFFFFFFU));
  }
};

/// Whether the float32 of a 32-bit key's upper half is finite.
CARDIACSEG_HOST_DEVICE inline bool finite_key_half(std::uint32_t upper) { return upper >= 0x0080U && upper < 0xFF80U; }

}  // namespace cardiacseg::ops
