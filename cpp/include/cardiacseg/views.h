#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "cardiacseg/pixel_type.h"

namespace cardiacseg {

/// Distance of adjacent samples along each array axis, center to center, in mm.
struct Spacing {
  double slice;
  double row;
  double column;
};

/// Extent of a cine: `[frames, slices, rows, columns]`.
struct CineShape {
  std::int64_t frames;
  std::int64_t slices;
  std::int64_t rows;
  std::int64_t columns;

  constexpr std::int64_t voxels_per_frame() const { return slices * rows * columns; }
  constexpr std::int64_t voxels() const { return frames * voxels_per_frame(); }
  friend constexpr bool operator==(const CineShape&, const CineShape&) = default;
};

/// Memory of an array: that of the host, or of the GPU of the segmenter.
enum class Memory { host, device };

/// A cine in memory of the caller: `[frames, slices, rows, columns]` of any pixel type, with strides in bytes, which
/// may be negative; in device memory it must be contiguous, in C order. One stack is a cine of one frame. The memory
/// must outlive every call that gets the view.
struct CineView {
  const void* data;
  PixelType type;
  CineShape shape;
  std::array<std::ptrdiff_t, 4> strides;
  Spacing spacing;
  Memory memory = Memory::host;

  /// A view of contiguous memory in C order.
  static constexpr CineView contiguous(const void* data, PixelType type, const CineShape& shape, const Spacing& spacing,
                                       Memory memory = Memory::host) {
    const auto pixel = static_cast<std::ptrdiff_t>(size_of(type));
    return {data,
            type,
            shape,
            {shape.slices * shape.rows * shape.columns * pixel, shape.rows * shape.columns * pixel,
             shape.columns * pixel, pixel},
            spacing,
            memory};
  }
};

/// Label maps in memory of the caller: `[frames, slices, rows, columns]`, contiguous, in C order.
struct LabelView {
  const std::uint8_t* data;
  CineShape shape;
  Spacing spacing;
};

}  // namespace cardiacseg
