#include <algorithm>
#include <limits>

#include "cuda/launch.h"
#include "ops/heart_localization_common.h"
#include "ops/heart_localization_cuda.h"

namespace cardiacseg::ops {
namespace {

constexpr int kThreads = 512;
constexpr int kWarps = kThreads / 32;
constexpr unsigned kAllLanes = 0xFFFFFFFFU;

/// The sum over slices of a pixel's mass, 0 beyond the grid.
__device__ HeartMass mass_at(const float* stack, const HeartMaps& maps, float threshold, int row, int column) {
  if (column >= maps.columns) return 0;
  const float* from = stack + row * maps.padded_columns + column;
  HeartMass mass = 0;
#pragma unroll 4
  for (std::int64_t slice = 0; slice < maps.slices; ++slice, from += maps.padded_plane()) {
    mass += heart_mass(*from, threshold);
  }
  return mass;
}

/// Entry (row + 1, column + 1) gets the sum of this row of the grid up to the column, a warp for each row.
__device__ void sum_rows(const float* stack, const HeartMaps& maps, float threshold, HeartMass* table) {
  const auto lane = static_cast<int>(threadIdx.x % 32);
  for (int row = static_cast<int>(threadIdx.x) / 32; row < maps.rows; row += kWarps) {
    HeartMass* to = table + (row + 1) * (maps.columns + 1) + 1;
    HeartMass before = 0;  // of the chunks to the left
    for (int start = 0; start < maps.columns; start += 32) {
      HeartMass mass = mass_at(stack, maps, threshold, row, start + lane);
#pragma unroll
      for (int step = 1; step < 32; step *= 2) {
        const HeartMass left = __shfl_up_sync(kAllLanes, mass, static_cast<unsigned>(step));
        if (lane >= step) mass += left;
      }
      mass += before;
      if (start + lane < maps.columns) to[start + lane] = mass;
      before = __shfl_sync(kAllLanes, mass, 31);
    }
  }
}

/// Adds to each row all those above; sets the first row and the first column to 0. A thread for each column, which
/// reads some rows ahead of what it writes, so that it need not wait for each.
__device__ void sum_columns(const HeartMaps& maps, HeartMass* table) {
  constexpr int kAhead = 8;
  const auto width = static_cast<int>(maps.columns) + 1;
  const auto rows = static_cast<int>(maps.rows);
  for (auto column = static_cast<int>(threadIdx.x); column < width; column += kThreads) {
    HeartMass* entry = table + column;
    HeartMass sum = 0;
    *entry = 0;
    for (int row = 1; row <= rows; row += kAhead) {
      HeartMass own[kAhead];
#pragma unroll
      for (int k = 0; k < kAhead; ++k)
        own[k] = column > 0 && row + k <= rows ? entry[(k + 1) * std::int64_t{width}] : 0;
#pragma unroll
      for (int k = 0; k < kAhead; ++k) {
        entry += width;
        sum += own[k];
        if (row + k <= rows) *entry = sum;
      }
    }
  }
}

/// A box by the index of its place in C order.
struct Candidate {
  HeartMass mass;
  std::int32_t place;
};

__device__ Candidate better(const Candidate& a, const Candidate& b) {
  if (a.mass != b.mass) return a.mass > b.mass ? a : b;
  return a.place < b.place ? a : b;
}

__device__ Candidate best_of_warp(Candidate mine) {
#pragma unroll
  for (int lanes = 16; lanes > 0; lanes /= 2) {
    mine = better(mine, {__shfl_xor_sync(kAllLanes, mine.mass, lanes), __shfl_xor_sync(kAllLanes, mine.place, lanes)});
  }
  return mine;
}

/// The heaviest box, first in C order, for every thread.
__device__ HeartBox heaviest_box(const SummedArea& area, const HeartMaps& maps, std::int64_t window) {
  __shared__ Candidate of_warps[kWarps];
  HeartBox box = first_box(maps, window);
  const auto across = static_cast<std::int32_t>(maps.columns) - box.columns + 1;
  const std::int32_t places = across * (static_cast<std::int32_t>(maps.rows) - box.rows + 1);
  Candidate best{0, 0};
  for (auto place = static_cast<std::int32_t>(threadIdx.x); place < places; place += kThreads) {
    box.top = place / across;
    box.left = place - box.top * across;
    best = better(best, {area.box(box.top, box.left, box.bottom(), box.right()), place});
  }
  best = best_of_warp(best);
  if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = best;
  __syncthreads();
  best = best_of_warp(of_warps[threadIdx.x % kWarps]);
  box.top = best.place / across;
  box.left = best.place - box.top * across;
  return box;
}

/// Few boxes have more lines than a CTA has threads: loops that are not unrolled need fewer registers.
__device__ HeartMoments moments_of(const SummedArea& area, const HeartBox& box) {
  __shared__ HeartMass sums[2];
  if (threadIdx.x < 2) sums[threadIdx.x] = 0;
  __syncthreads();
  HeartMass rows = 0;
  HeartMass columns = 0;
  const auto first = static_cast<std::int32_t>(threadIdx.x) + 1;
#pragma unroll 1
  for (std::int32_t row = first; row < box.rows; row += kThreads) rows += mass_from_row(area, box, row);
#pragma unroll 1
  for (std::int32_t column = first; column < box.columns; column += kThreads) {
    columns += mass_from_column(area, box, column);
  }
  if (rows > 0) atomicAdd(&sums[0], rows);
  if (columns > 0) atomicAdd(&sums[1], columns);
  __syncthreads();
  return {mass_from_row(area, box, 0), sums[0], sums[1]};
}

__global__ void __launch_bounds__(kThreads)
    find_hearts(const float* heart, const HeartMaps maps, const HeartLocalizationRules rules, HeartMass* tables,
                CropOrigin* origins) {
  const std::int64_t stack = blockIdx.x;
  HeartMass* table = tables + stack * (maps.rows + 1) * (maps.columns + 1);
  sum_rows(heart + stack * maps.slices * maps.padded_plane(), maps, rules.threshold, table);
  __syncthreads();
  sum_columns(maps, table);
  __syncthreads();
  const SummedArea area{table, maps.columns + 1};
  const HeartBox box = heaviest_box(area, maps, rules.window);
  const HeartMoments moments = moments_of(area, box);
  if (threadIdx.x == 0) origins[stack] = heart_crop(maps, rules, box, moments);
}

}  // namespace

std::size_t heart_localization_workspace(std::int64_t stacks, std::int64_t rows, std::int64_t columns) {
  element_count("workspace of heart_localization", {stacks, rows, columns});
  return element_count("workspace of heart_localization", {stacks, rows + 1, columns + 1, sizeof(HeartMass)});
}

void heart_localization_cuda(const float* heart, const HeartMaps& maps, const HeartLocalizationRules& rules,
                             void* workspace, CropOrigin* origins, DeviceStream stream) {
  require_heart_localization(maps, rules);
  if (maps.stacks > std::numeric_limits<std::int32_t>::max()) {
    throw std::invalid_argument("maps of heart_localization_cuda: expected fewer than 2^31 stacks, got " +
                                std::to_string(maps.stacks));
  }
  cuda::launch("heart_localization", find_hearts, dim3(static_cast<unsigned>(maps.stacks)), dim3(kThreads), stream,
               heart, maps, rules, static_cast<HeartMass*>(workspace), origins);
}

}  // namespace cardiacseg::ops
