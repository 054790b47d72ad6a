#pragma once

#include <cuda_runtime.h>

#include "ops/mask_fusion_common.h"
#include "ops/mask_fusion_cuda.h"

namespace cardiacseg::ops {

// A CTA makes a tile of voxels; each of its threads walks down a strip of one column.
constexpr int kTileColumns = 64;
constexpr int kStrips = 4;
constexpr int kLongestStrip = 4;
constexpr int kThreads = kTileColumns * kStrips;
constexpr int kTileRows = kStrips * kLongestStrip;
constexpr int kStagedPixels = 5 * kThreads;  ///< of the crop: 16 voxels by 64 up to 1.04 times as large as its pixels

/// What the kernel is given.
template <class T>
struct FusionTask {
  const T* logits;
  const float* presence;
  const CropOrigin* origins;
  DeviceFusionOutputs outputs;
  double row_ratio;  ///< voxel size / pixel size
  double column_ratio;
  float scale;  ///< of logits
  float threshold;
  std::int32_t slices;  ///< of one stack
  std::int32_t rows;
  std::int32_t columns;
  std::int32_t crop_rows;
  std::int32_t crop_columns;
  std::int32_t strip;  ///< rows per thread
  std::int32_t tiles_across;
};

/// Which part of which slice a CTA makes.
struct Tile {
  std::int64_t slice;
  std::int32_t row;
  std::int32_t column;
};

/// The voxels of a tile in terms of the crop's pixels. They lie in the crop's rows from down[0].lower to the last's
/// upper, and likewise across.
struct TileAxes {
  Neighbors down[kTileRows];
  Neighbors across[kTileColumns];
};

template <class T>
__device__ Tile tile_of(const FusionTask<T>& task) {
  const unsigned slice = blockIdx.x / static_cast<unsigned>(task.tiles_across);
  const auto across = static_cast<std::int32_t>(blockIdx.x - slice * static_cast<unsigned>(task.tiles_across));
  return {slice, static_cast<std::int32_t>(blockIdx.y) * task.strip * kStrips, across * kTileColumns};
}

/// Beyond the grid the last voxel stands.
__device__ inline Neighbors voxel_neighbors(std::int32_t index, std::int32_t voxels, double ratio, std::int32_t first,
                                            std::int32_t pixels) {
  return neighbors(axis_point(index < voxels ? index : voxels - 1, ratio), first, pixels);
}

/// Fills `axes`; false if all of the tile lies outside the crop. Ends with a barrier.
template <class T>
__device__ bool map_tile(const FusionTask<T>& task, const Tile& tile, TileAxes& axes) {
  const CropOrigin origin = task.origins[tile.slice / task.slices];
  const auto thread = static_cast<std::int32_t>(threadIdx.x);
  bool row_inside = false;
  bool column_inside = false;
  if (thread < kTileColumns) {
    axes.across[thread] =
        voxel_neighbors(tile.column + thread, task.columns, task.column_ratio, origin.column, task.crop_columns);
    column_inside = axes.across[thread].inside;
  } else if (thread < kTileColumns + task.strip * kStrips) {
    const std::int32_t row = thread - kTileColumns;
    axes.down[row] = voxel_neighbors(tile.row + row, task.rows, task.row_ratio, origin.row, task.crop_rows);
    row_inside = axes.down[row].inside;
  }
  const bool any_column = __syncthreads_or(column_inside) != 0;
  return __syncthreads_or(row_inside) != 0 && any_column;
}

/// `pixel` points to the background's logit; those of the other labels lie `plane` apart.
template <class T>
__device__ Probabilities load_logits(const T* pixel, std::int64_t plane) {
  return {{to_float(pixel[0]), to_float(pixel[plane]), to_float(pixel[2 * plane]), to_float(pixel[3 * plane])}};
}

/// The probabilities of a slice's pixels, computed on demand.
template <class T>
struct DirectPixels {
  const T* logits;
  std::int64_t plane;
  std::int32_t width;
  float scale;
  Gate gate;

  __device__ Probabilities at(std::int32_t row, std::int32_t column) const {
    return gated_softmax(load_logits(logits + row * width + column, plane), scale, gate);
  }
};

/// The same from shared memory, which holds those that a tile needs.
struct StagedPixels {
  const Probabilities* pixels;
  std::int32_t first_row;
  std::int32_t first_column;
  std::int32_t width;

  __device__ Probabilities at(std::int32_t row, std::int32_t column) const {
    return pixels[(row - first_row) * width + column - first_column];
  }
};

/// Makes each pixel's probabilities once. All loads of a thread are under way before the first is needed.
template <class T>
__device__ StagedPixels stage_pixels(const DirectPixels<T>& crop, const TileAxes& axes, std::int32_t rows,
                                     Probabilities* pixels) {
  constexpr int kEach = kStagedPixels / kThreads;
  const std::int32_t first_row = axes.down[0].lower;
  const std::int32_t first_column = axes.across[0].lower;
  const auto width = static_cast<unsigned>(axes.across[kTileColumns - 1].upper - first_column + 1);
  const unsigned count = width * static_cast<unsigned>(axes.down[rows - 1].upper - first_row + 1);
  const T* corner = crop.logits + first_row * crop.width + first_column;
  Probabilities logits[kEach] = {};
#pragma unroll
  for (unsigned k = 0; k < kEach; ++k) {
    const unsigned pixel = threadIdx.x + k * kThreads;
    const unsigned row = pixel / width;
    const unsigned offset = row * static_cast<unsigned>(crop.width) + (pixel - row * width);
    if (pixel < count) logits[k] = load_logits(corner + offset, crop.plane);
  }
#pragma unroll
  for (unsigned k = 0; k < kEach; ++k) {
    const unsigned pixel = threadIdx.x + k * kThreads;
    if (pixel < count) pixels[pixel] = gated_softmax(logits[k], crop.scale, crop.gate);
  }
  __syncthreads();
  return {pixels, first_row, first_column, static_cast<std::int32_t>(width)};
}

/// Two of the crop's rows at the column of a voxel. Going down, the lower of them soon is the upper one.
template <class Pixels>
class RowPair {
 public:
  __device__ RowPair(const Pixels& pixels, const Neighbors& across) : pixels_(pixels), across_(across) {}

  __device__ Probabilities at(const Neighbors& down) {
    if (down.lower != upper_row_) {
      above_ = down.lower == lower_row_ ? below_ : row(down.lower);
      below_ = row(down.upper);
      upper_row_ = down.lower;
      lower_row_ = down.upper;
    }
    return blend(above_, below_, down.upper_share);
  }

 private:
  __device__ Probabilities row(std::int32_t row) const {
    return blend(pixels_.at(row, across_.lower), pixels_.at(row, across_.upper), across_.upper_share);
  }

  const Pixels& pixels_;
  const Neighbors across_;
  Probabilities above_{};
  Probabilities below_{};
  std::int32_t upper_row_ = -1;
  std::int32_t lower_row_ = -1;
};

}  // namespace cardiacseg::ops
