#pragma once

#include "ops/clean_up_frame.cuh"

/// Regions of equal labels by union and find, for clean_up_cuda.cu. A forest has an entry for each pixel of a frame:
/// the place of a pixel of the same region that comes before it in C order, or its own. So a region's root is its first
/// pixel, in whatever order threads join what they find (after Playne and Hawick, A new algorithm for parallel
/// connected-component labelling on GPUs, 2018).
namespace cardiacseg::ops {
namespace {

/// Other threads change entries meanwhile: each read is from memory.
__device__ int entry_of(const int* forest, int place) { return *static_cast<const volatile int*>(forest + place); }

__device__ int root_of(const int* forest, int place) {
  int next = entry_of(forest, place);
  while (next != place) {
    place = next;
    next = entry_of(forest, place);
  }
  return place;
}

/// Makes one region of those of two pixels.
__device__ void join(int* forest, int a, int b) {
  while (true) {
    a = root_of(forest, a);
    b = root_of(forest, b);
    if (a == b) return;
    const int later = max(a, b);
    const int earlier = min(a, b);
    const int before = atomicMin(&forest[later], earlier);
    if (before == later) return;
    a = before;  // no root any more: what it was joined to must be joined too
    b = earlier;
  }
}

/// Hangs each pixel on the first of its run of equal labels in the row.
__device__ void join_rows(const Frame& frame, int* forest) {
  const auto lane = static_cast<int>(threadIdx.x % 32);
  for (int row = static_cast<int>(threadIdx.x) / 32; row < frame.rows; row += kWarps) {
    int start = 0;
    for (int chunk = 0; chunk < frame.width; chunk += 32) {
      const int column = chunk + lane;
      const unsigned starts = __ballot_sync(kAllLanes, frame.label(row, column) != frame.label(row, column - 1));
      const unsigned up_to_me = starts & kAllLanes >> (31 - lane);
      const int mine = up_to_me != 0 ? chunk + 31 - __clz(static_cast<int>(up_to_me)) : start;
      if (column < frame.width) forest[row * frame.width + column] = row * frame.width + mine;
      if (starts != 0) start = chunk + 31 - __clz(static_cast<int>(starts));
    }
  }
}

/// Joins the runs of pixels that `counts(label)` with those of the row above, across corners too if asked. What a
/// neighbour in the row joins is left to it.
template <bool kCorners, class Counts>
__device__ void join_columns(const Frame& frame, int* forest, const Counts& counts) {
  for_pixels(frame, [&](int row, int column, int place) {
    const unsigned label = frame.label(row, column);
    if (row == 0 || !counts(label)) return;
    const bool left = frame.label(row, column - 1) == label;
    const bool above_left = frame.label(row - 1, column - 1) == label;
    const int above = place - frame.width;
    if (frame.label(row - 1, column) == label) {
      if (!left || !above_left) join(forest, place, above);
    } else if (kCorners) {
      if (!left && above_left) join(forest, place, above - 1);
      const bool right = frame.label(row, column + 1) == label;
      if (!right && frame.label(row - 1, column + 1) == label) join(forest, place, above + 1);
    }
  });
}

/// Finds the regions of pixels that `counts(label)`; then each of their entries is its region's root. Barriers inside
/// and at the end.
template <bool kCorners, class Counts>
__device__ void find_regions(const Frame& frame, int* forest, const Counts& counts) {
  join_rows(frame, forest);
  __syncthreads();
  join_columns<kCorners>(frame, forest, counts);
  __syncthreads();
  for_pixels(frame, [&](int, int, int place) { *static_cast<volatile int*>(forest + place) = root_of(forest, place); });
  __syncthreads();
}

}  // namespace
}  // namespace cardiacseg::ops
