#pragma once

#include <cstdint>
#include <cstring>

#include "cardiacseg/pixel_type.h"
#include "ops/device.h"

namespace cardiacseg::ops {

/// Pixels that somebody else owns, read in place: `[stacks, slices, rows, columns]` of any type. A step is the number
/// of bytes to the next along its axis; it may be negative, and need be no multiple of the pixel's size. Each pixel
/// counts as the float32 nearest to it.
struct Pixels {
  const void* data;
  PixelType type;
  std::int64_t stacks;
  std::int64_t slices;
  std::int64_t rows;
  std::int64_t columns;
  std::int64_t stack_step;
  std::int64_t slice_step;
  std::int64_t row_step;
  std::int64_t column_step;

  /// First pixel of a row.
  CARDIACSEG_HOST_DEVICE const unsigned char* row(std::int64_t stack, std::int64_t slice, std::int64_t row) const {
    return static_cast<const unsigned char*>(data) + stack * stack_step + slice * slice_step + row * row_step;
  }
};

/// A view of contiguous memory in C order.
inline Pixels contiguous_pixels(const void* data, PixelType type, std::int64_t stacks, std::int64_t slices,
                                std::int64_t rows, std::int64_t columns) {
  const auto bytes = static_cast<std::int64_t>(size_of(type));
  return {data,
          type,
          stacks,
          slices,
          rows,
          columns,
          slices * rows * columns * bytes,
          rows * columns * bytes,
          columns * bytes,
          bytes};
}

/// The pixel at `at`, wherever that is.
template <class Pixel>
CARDIACSEG_HOST_DEVICE inline float load_pixel(const unsigned char* at) {
  Pixel pixel;
  std::memcpy(&pixel, at, sizeof pixel);
  return static_cast<float>(pixel);
}

/// Whether every pixel lies at a multiple of its size, as a GPU's loads want it.
inline bool all_aligned(const Pixels& pixels) {
  const auto bytes = static_cast<std::int64_t>(size_of(pixels.type));
  const auto multiple = [bytes](std::int64_t extent, std::int64_t step) { return extent == 1 || step % bytes == 0; };
  return reinterpret_cast<std::uintptr_t>(pixels.data) % static_cast<std::uintptr_t>(bytes) == 0 &&
         multiple(pixels.stacks, pixels.stack_step) && multiple(pixels.slices, pixels.slice_step) &&
         multiple(pixels.rows, pixels.row_step) && multiple(pixels.columns, pixels.column_step);
}

/// Calls `visit` with a value of the C++ type that `type` stands for.
template <class Visit>
void visit_pixel_type(PixelType type, const Visit& visit) {
  switch (type) {
    case PixelType::uint8:
      return visit(std::uint8_t());
    case PixelType::int8:
      return visit(std::int8_t());
    case PixelType::uint16:
      return visit(std::uint16_t());
    case PixelType::int16:
      return visit(std::int16_t());
    case PixelType::uint32:
      return visit(std::uint32_t());
    case PixelType::int32:
      return visit(std::int32_t());
    case PixelType::float32:
      return visit(float());
    case PixelType::float64:
      return visit(double());
  }
}

}  // namespace cardiacseg::ops
