#pragma once

#include <cstdint>

namespace cardiacseg {

/// Extent of one stack: `[slices, rows, columns]`.
struct Grid {
  std::int64_t slices;
  std::int64_t rows;
  std::int64_t columns;

  constexpr std::int64_t plane() const { return rows * columns; }
  constexpr std::int64_t voxels() const { return slices * plane(); }
};

}  // namespace cardiacseg
