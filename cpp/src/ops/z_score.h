#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ops/pixels.h"

namespace cardiacseg::ops {

/// A part of a stack; `first_*` is its first voxel.
struct StackBox {
  std::int64_t first_slice;
  std::int64_t first_row;
  std::int64_t first_column;
  std::int64_t slices;
  std::int64_t rows;
  std::int64_t columns;

  std::int64_t voxels() const { return slices * rows * columns; }
  bool operator==(const StackBox&) const = default;
};

/// The smallest box that holds every pixel of stack `stack` that is not 0; no voxels if all are 0.
StackBox nonzero_box(const Pixels& pixels, std::int64_t stack);

/// The pixels of `box` as float32, `[slices, rows, columns]`.
std::vector<float> read_box(const Pixels& pixels, std::int64_t stack, const StackBox& box);

/// 1 for each voxel of a stack that is not 0, and for each hole: a region of zeros, connected across faces in all three
/// axes, that does not reach the stack's rim. `voxels` is `[box.slices, box.rows, box.columns]`.
std::vector<std::uint8_t> nonzero_mask(std::span<const float> voxels, const StackBox& box);

/// Subtracts the mean of the voxels and divides by their standard deviation (at least 1e-8). With a `mask`, not empty,
/// only the voxels that it marks count and change.
void z_score(std::span<float> voxels, std::span<const std::uint8_t> mask);

}  // namespace cardiacseg::ops
