#pragma once

#include <array>
#include <cstddef>

namespace cardiacseg {

enum class PixelType { uint8, int8, uint16, int16, uint32, int32, float32, float64 };

/// Bytes of one pixel.
constexpr std::size_t size_of(PixelType type) {
  constexpr std::array<std::size_t, 8> sizes{1, 1, 2, 2, 4, 4, 4, 8};
  return sizes.at(static_cast<std::size_t>(type));
}

}  // namespace cardiacseg
