#pragma once

#include <cuda_runtime.h>

#include <cstdint>

/// The part of a slice that keep_largest_component_cuda.cu works on.
namespace cardiacseg::ops {
namespace {

constexpr int kThreads = 512;
constexpr int kWarps = kThreads / 32;
constexpr unsigned kAllLanes = 0xFFFFFFFFU;
constexpr int kNowhere = 0x7FFFFFFF;
constexpr unsigned kOutside = 4;  // what stands for a label beyond the frame

/// The smallest box that holds every labelled pixel of a slice, and one pixel of background round it. All background
/// that reaches the slice's rim hangs together with that round the box.
struct Frame {
  std::uint8_t* first;  ///< of the box, which is (1, 1) of the frame
  std::int64_t step;    ///< from one row of the slice to the next
  int rows;             ///< of the frame
  int width;

  __device__ std::uint8_t* at(int row, int column) const { return first + (row - 1) * step + (column - 1); }

  __device__ unsigned label(int row, int column) const {
    if (row < 0 || row >= rows || column < 0 || column >= width) return kOutside;
    if (row == 0 || row == rows - 1 || column == 0 || column == width - 1) return 0;
    const unsigned label = *at(row, column);
    return label < 3 ? label : 3;
  }
};

/// Calls `visit(row, column, place)` for all pixels of the frame, a warp for each row; `place` is in C order.
template <class Visit>
__device__ void for_pixels(const Frame& frame, const Visit& visit) {
  for (int row = static_cast<int>(threadIdx.x) / 32; row < frame.rows; row += kWarps) {
    for (int column = static_cast<int>(threadIdx.x) % 32; column < frame.width; column += 32) {
      visit(row, column, row * frame.width + column);
    }
  }
}

/// The first and the last row and column of what has a label, the last ones negative, so that all are minima.
struct Bounds {
  int top;
  int left;
  int minus_bottom;
  int minus_right;

  __device__ void take(int row, int column) {
    top = min(top, row);
    left = min(left, column);
    minus_bottom = min(minus_bottom, -row);
    minus_right = min(minus_right, -column);
  }
};

__device__ int least_of_warp(int value) {
#pragma unroll
  for (int lanes = 16; lanes > 0; lanes /= 2) value = min(value, __shfl_xor_sync(kAllLanes, value, lanes));
  return value;
}

/// Takes those of a group of 16 pixels that have a label.
__device__ void take_group(const uint4& group, int first, int columns, Bounds& bounds) {
  if ((group.x | group.y | group.z | group.w) == 0) return;
  const unsigned words[4] = {group.x, group.y, group.z, group.w};
#pragma unroll
  for (int k = 0; k < 16; ++k) {
    if ((words[k / 4] >> (8 * (k % 4)) & 0xFFU) == 0) continue;
    const int row = (first + k) / columns;
    bounds.take(row, first + k - row * columns);
  }
}

/// Bounds of what this thread reads of a slice, 16 pixels at a time if `vectors` says that they are aligned.
__device__ Bounds own_bounds(const std::uint8_t* slice, int plane, int columns, bool vectors) {
  Bounds bounds{kNowhere, kNowhere, kNowhere, kNowhere};
  const int groups = vectors ? plane / 16 : 0;
  for (int group = static_cast<int>(threadIdx.x); group < groups; group += kThreads) {
    take_group(reinterpret_cast<const uint4*>(slice)[group], 16 * group, columns, bounds);
  }
  for (int pixel = 16 * groups + static_cast<int>(threadIdx.x); pixel < plane; pixel += kThreads) {
    if (slice[pixel] > 0) bounds.take(pixel / columns, pixel % columns);
  }
  return bounds;
}

/// The frame of a slice, of no rows if nothing has a label. Barriers inside.
__device__ Frame frame_of(std::uint8_t* slice, int plane, int columns, bool vectors) {
  __shared__ Bounds all;
  if (threadIdx.x == 0) all = {kNowhere, kNowhere, kNowhere, kNowhere};
  const Bounds own = own_bounds(slice, plane, columns, vectors);
  const Bounds of_warp{least_of_warp(own.top), least_of_warp(own.left), least_of_warp(own.minus_bottom),
                       least_of_warp(own.minus_right)};
  __syncthreads();
  if (threadIdx.x % 32 == 0 && of_warp.top != kNowhere) {
    atomicMin(&all.top, of_warp.top);
    atomicMin(&all.left, of_warp.left);
    atomicMin(&all.minus_bottom, of_warp.minus_bottom);
    atomicMin(&all.minus_right, of_warp.minus_right);
  }
  __syncthreads();
  if (all.top == kNowhere) return {slice, columns, 0, 0};
  return {slice + static_cast<std::int64_t>(all.top) * columns + all.left, columns, -all.minus_bottom - all.top + 3,
          -all.minus_right - all.left + 3};
}

}  // namespace
}  // namespace cardiacseg::ops
