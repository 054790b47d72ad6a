#include <cmath>

#include "cuda/launch.h"
#include "ops/mask_fusion_cuda.h"
#include "ops/mask_fusion_tile.cuh"

namespace cardiacseg::ops {
namespace {

__device__ Probabilities background() { return {{1.0F, 0.0F, 0.0F, 0.0F}}; }

/// How many voxels got each label, 8 bits for each.
using PackedCounts = unsigned;

template <class T>
__device__ void store(const FusionTask<T>& task, const Tile& tile, std::int32_t row, std::int32_t column,
                      std::int32_t label, const Probabilities& p) {
  const std::int64_t voxels = static_cast<std::int64_t>(task.rows) * task.columns;
  const std::int64_t voxel = static_cast<std::int64_t>(row) * task.columns + column;
  task.outputs.labels[tile.slice * voxels + voxel] = static_cast<std::uint8_t>(label);
  if (task.outputs.probabilities == nullptr) return;
  const Probabilities shares = with_sum_of_one(p);
  float* to = task.outputs.probabilities + tile.slice * 4 * voxels + voxel;
  to[0] = shares.of[0];
  to[voxels] = shares.of[1];
  to[2 * voxels] = shares.of[2];
  to[3 * voxels] = shares.of[3];
}

/// Labels a thread's strip of a column.
template <class T, class Pixels>
__device__ PackedCounts fuse_strip(const FusionTask<T>& task, const Tile& tile, const TileAxes& axes,
                                   const Pixels& pixels) {
  const auto thread = static_cast<std::int32_t>(threadIdx.x);
  const std::int32_t column = thread % kTileColumns;
  const std::int32_t first = thread / kTileColumns * task.strip;
  if (tile.column + column >= task.columns) return 0;
  const Neighbors across = axes.across[column];
  RowPair<Pixels> rows(pixels, across);
  PackedCounts counts = 0;
  for (std::int32_t row = first; row < first + task.strip && tile.row + row < task.rows; ++row) {
    const Neighbors down = axes.down[row];
    const Probabilities p = across.inside && down.inside ? rows.at(down) : background();
    const std::int32_t label = best_label(p);
    store(task, tile, tile.row + row, tile.column + column, label, p);
    counts += 1U << (8 * label);
  }
  return counts;
}

/// The same if nothing can be shown.
template <class T>
__device__ PackedCounts clear_strip(const FusionTask<T>& task, const Tile& tile) {
  const auto thread = static_cast<std::int32_t>(threadIdx.x);
  const std::int32_t column = tile.column + thread % kTileColumns;
  const std::int32_t first = tile.row + thread / kTileColumns * task.strip;
  if (column >= task.columns) return 0;
  PackedCounts counts = 0;
  for (std::int32_t row = first; row < first + task.strip && row < task.rows; ++row, ++counts) {
    store(task, tile, row, column, 0, background());
  }
  return counts;
}

/// Adds what the threads of a CTA counted; a warp's 32 strips of 4 voxels fit in 8 bits.
__device__ void add_counts(PackedCounts counts, std::int32_t* to) {
  __shared__ std::int32_t sums[4];
  if (threadIdx.x < 4) sums[threadIdx.x] = 0;
  __syncthreads();
  for (int lanes = 16; lanes > 0; lanes /= 2) counts += __shfl_xor_sync(0xFFFFFFFFU, counts, lanes);
  const unsigned lane = threadIdx.x % 32;
  if (lane < 4) atomicAdd(&sums[lane], static_cast<std::int32_t>(counts >> (8 * lane) & 0xFFU));
  __syncthreads();
  if (threadIdx.x < 4 && sums[threadIdx.x] > 0) atomicAdd(to + threadIdx.x, sums[threadIdx.x]);
}

template <class T, bool kStaged>
__device__ PackedCounts fuse_tile(const FusionTask<T>& task, const Tile& tile) {
  __shared__ TileAxes axes;
  const Gate gate = presence_gate(task.presence, tile.slice, task.threshold);
  if (gate.shut() || !map_tile(task, tile, axes)) return clear_strip(task, tile);
  const std::int64_t plane = static_cast<std::int64_t>(task.crop_rows) * task.crop_columns;
  const DirectPixels<T> crop{task.logits + tile.slice * 4 * plane, plane, task.crop_columns, task.scale, gate};
  if constexpr (kStaged) {
    __shared__ Probabilities pixels[kStagedPixels];
    return fuse_strip(task, tile, axes, stage_pixels(crop, axes, task.strip * kStrips, pixels));
  } else {
    return fuse_strip(task, tile, axes, crop);
  }
}

template <class T, bool kStaged>
__global__ void __launch_bounds__(kThreads) fuse_tiles(const FusionTask<T> task) {
  const Tile tile = tile_of(task);
  const PackedCounts counts = fuse_tile<T, kStaged>(task, tile);
  if (task.outputs.counts != nullptr) add_counts(counts, task.outputs.counts + tile.slice * 4);
}

/// The most pixels along an axis that lie on both sides of `voxels` successive voxels. A thousandth more than their
/// distance stands in for rounding.
double pixels_under(std::int32_t voxels, double ratio, std::int32_t crop) {
  return std::fmin(crop, std::floor((voxels - 1) * ratio + 1e-3) + 3);
}

/// The longest strip whose tile's pixels fit in shared memory, 0 if none does.
template <class T>
std::int32_t longest_strip(const FusionTask<T>& task) {
  const double across = pixels_under(kTileColumns, task.column_ratio, task.crop_columns);
  std::int32_t strip = kLongestStrip;
  while (strip > 0 && across * pixels_under(strip * kStrips, task.row_ratio, task.crop_rows) > kStagedPixels) --strip;
  return strip;
}

dim3 grid_of(std::int64_t slices, std::int64_t tiles_across, std::int32_t rows, std::int32_t strip) {
  const std::int32_t tile_rows = strip * kStrips;
  const std::int32_t tiles_down = (rows - 1) / tile_rows + 1;
  if (slices > 2147483647 / tiles_across || tiles_down > 65535) {
    throw std::invalid_argument("grid of mask_fusion_cuda: expected at most 2^31 - 1 by 65535 tiles, got " +
                                std::to_string(slices) + " slices of " + std::to_string(tiles_across) + " by " +
                                std::to_string(tiles_down) + " tiles");
  }
  return {static_cast<unsigned>(slices * tiles_across), static_cast<unsigned>(tiles_down)};
}

template <class T>
void launch(const DeviceFusionInputs& inputs, const FusionRules& rules, const FusionGeometry& geometry,
            const DeviceFusionOutputs& outputs, DeviceStream stream) {
  FusionTask<T> task{};
  task.logits = static_cast<const T*>(inputs.logits);
  task.presence = inputs.presence;
  task.origins = inputs.origins;
  task.outputs = outputs;
  task.row_ratio = geometry.row_spacing / geometry.target;
  task.column_ratio = geometry.column_spacing / geometry.target;
  task.scale = logit_scale(rules.temperature);
  task.threshold = rules.threshold;
  task.slices = static_cast<std::int32_t>(geometry.slices);
  task.rows = static_cast<std::int32_t>(geometry.rows);
  task.columns = static_cast<std::int32_t>(geometry.columns);
  task.crop_rows = static_cast<std::int32_t>(geometry.crop_rows);
  task.crop_columns = static_cast<std::int32_t>(geometry.crop_columns);
  task.tiles_across = (task.columns - 1) / kTileColumns + 1;
  const std::int32_t strip = longest_strip(task);
  task.strip = strip > 0 ? strip : kLongestStrip;
  const dim3 grid = grid_of(inputs.stacks * geometry.slices, task.tiles_across, task.rows, task.strip);
  cuda::launch("mask_fusion", strip > 0 ? fuse_tiles<T, true> : fuse_tiles<T, false>, grid, kThreads, stream, task);
}

}  // namespace

void mask_fusion_cuda(const DeviceFusionInputs& inputs, const FusionRules& rules, const FusionGeometry& geometry,
                      const DeviceFusionOutputs& outputs, DeviceStream stream) {
  require_fusion(rules, geometry);
  element_count("stacks of mask_fusion", {inputs.stacks, geometry.slices});
  if (inputs.type == ScalarType::float32) return launch<float>(inputs, rules, geometry, outputs, stream);
  if (inputs.type == ScalarType::float16) return launch<Half>(inputs, rules, geometry, outputs, stream);
  throw std::invalid_argument("logits of mask_fusion_cuda: expected float32 or float16, got bfloat16");
}

}  // namespace cardiacseg::ops
