#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "ops/pixels.h"

namespace cardiacseg::test {

using ops::Pixels;

constexpr std::array kPixelTypes{PixelType::uint8,  PixelType::int8,  PixelType::uint16,  PixelType::int16,
                                 PixelType::uint32, PixelType::int32, PixelType::float32, PixelType::float64};

using Extents = std::array<std::int64_t, 4>;  ///< stacks, slices, rows, columns

/// Pixels in memory of their own, laid out in any way.
struct Image {
  std::vector<unsigned char> bytes;
  Pixels view;         ///< its data is no address
  std::int64_t start;  ///< of the first pixel, in bytes

  Pixels at(const void* memory) const {
    Pixels pixels = view;
    pixels.data = static_cast<const unsigned char*>(memory) + start;
    return pixels;
  }
  Pixels on_host() const { return at(bytes.data()); }
};

/// How an image lies in memory.
struct Layout {
  std::array<std::size_t, 4> order{3, 2, 1, 0};  ///< axes, the one with the shortest step first
  std::array<std::int64_t, 4> gap{};             ///< bytes left out behind each
  std::array<bool, 4> backwards{};
  std::int64_t start = 0;  ///< bytes before the first
};

inline Image blank_image(PixelType type, const Extents& extents, const Layout& layout) {
  Extents steps{};
  std::int64_t step = static_cast<std::int64_t>(size_of(type));
  std::int64_t start = layout.start;
  for (std::size_t i = 0; i < 4; ++i) {
    const std::size_t axis = layout.order[i];
    step += layout.gap[i];
    steps[axis] = layout.backwards[axis] ? -step : step;
    if (layout.backwards[axis]) start += step * (extents[axis] - 1);
    step *= extents[axis];
  }
  const auto [stacks, slices, rows, columns] = extents;
  return {std::vector<unsigned char>(static_cast<std::size_t>(step + layout.start), 0xEE),
          {nullptr, type, stacks, slices, rows, columns, steps[0], steps[1], steps[2], steps[3]},
          start};
}

/// Calls `visit` with the address of each pixel, in C order.
template <class Visit>
void for_pixels(const Pixels& pixels, const Visit& visit) {
  for (std::int64_t stack = 0; stack < pixels.stacks; ++stack) {
    for (std::int64_t slice = 0; slice < pixels.slices; ++slice) {
      for (std::int64_t row = 0; row < pixels.rows; ++row) {
        for (std::int64_t column = 0; column < pixels.columns; ++column) {
          visit(pixels.row(stack, slice, row) + column * pixels.column_step);
        }
      }
    }
  }
}

/// `value()` is asked for each pixel in C order; what it gives must be one of the type's values.
template <class Value>
Image image_of(PixelType type, const Extents& extents, const Value& value, const Layout& layout = {}) {
  Image image = blank_image(type, extents, layout);
  ops::visit_pixel_type(type, [&](auto zero) {
    for_pixels(image.on_host(), [&](const unsigned char* at) {
      const auto pixel = static_cast<decltype(zero)>(value());
      std::memcpy(image.bytes.data() + (at - image.bytes.data()), &pixel, sizeof pixel);
    });
  });
  return image;
}

/// All pixels in C order.
inline std::vector<float> values_of(const Pixels& pixels) {
  std::vector<float> values;
  ops::visit_pixel_type(pixels.type, [&](auto zero) {
    for_pixels(pixels, [&](const unsigned char* at) { values.push_back(ops::load_pixel<decltype(zero)>(at)); });
  });
  return values;
}

/// Any order of the axes, gaps and directions; every other one not at multiples of the pixel's size.
inline Layout random_layout(PixelType type, std::mt19937& random) {
  Layout layout;
  std::shuffle(layout.order.begin(), layout.order.end(), random);
  const auto unit = random() % 2 == 0 ? 1 : static_cast<std::int64_t>(size_of(type));
  for (std::int64_t& gap : layout.gap) gap = random() % 3 == 0 ? unit * static_cast<std::int64_t>(random() % 3) : 0;
  for (bool& backwards : layout.backwards) backwards = random() % 3 == 0;
  layout.start = unit * static_cast<std::int64_t>(random() % 5);
  return layout;
}

/// Whole numbers that fit the type, spread as `kind` says: a few values, those of a scanner, or all that there are.
class RandomValues {
 public:
  RandomValues(PixelType type, unsigned kind, std::mt19937& random) : type_(type), kind_(kind % 3), random_(random) {}

  double operator()() const {
    const bool is_signed = type_ == PixelType::int8 || type_ == PixelType::int16 || type_ == PixelType::int32;
    const auto bits = static_cast<unsigned>(8 * size_of(type_));
    if (type_ == PixelType::float32 || type_ == PixelType::float64) return real();
    const double all = bits >= 32 ? 4294967296.0 : static_cast<double>(1U << bits);
    const double count = kind_ == 0 ? 3 : kind_ == 1 ? std::min(all, 2000.0) : all;
    const double shift = is_signed ? (kind_ == 2 ? all / 2 : std::min(count / 2, 100.0)) : 0;
    return std::min(static_cast<double>(random_()) / 4294967296.0 * count, all - 1) - shift;
  }

 private:
  double real() const {
    std::normal_distribution<double> normal;
    if (kind_ == 0) return static_cast<double>(random_() % 3) - 1;
    return kind_ == 1 ? 500 * normal(random_) : std::ldexp(normal(random_), static_cast<int>(random_() % 200) - 100);
  }

  PixelType type_;
  unsigned kind_;
  std::mt19937& random_;
};

}  // namespace cardiacseg::test
