#pragma once

#include "ops/keep_largest_component_frame.cuh"

/// Regions of equal labels by union and find, for keep_largest_component_cuda.cu. A forest has an entry for each pixel
/// of a frame: the place of a pixel of the same region that comes before it in C order, or its own. So a region's root
/// is its first pixel, in whatever order threads join what they find (after Playne and Hawick, A new algorithm for
/// parallel connected-component labelling on GPUs, 2018).
namespace cardiacseg::ops {
namespace {

/// The first pixel of the region. No thread may change the forest meanwhile.
__device__ int root_of(const int* forest, int place) {
  while (forest[place] != place) place = forest[place];
  return place;
}

/// Makes one region of those of two pixels. Other threads do so at the same time; no entry is read but by the atomic
/// operation that lowers it. An entry that was a link is replaced by a lower one, and what it led to is joined next.
__device__ void join(int* forest, int a, int b) {
  while (a != b) {
    const int later = max(a, b);
    b = min(a, b);
    a = atomicMin(&forest[later], b);
    if (a == later) return;  // a root so far
  }
}

/// Calls `write(place, read(place))` for all pixels of the frame; no thread writes while another reads. Barriers inside
/// and at the end.
template <class Read, class Write>
__device__ void read_then_write(const Frame& frame, const Read& read, const Write& write) {
  constexpr int kEach = 8;
  const int pixels = frame.rows * frame.width;
  for (int first = static_cast<int>(threadIdx.x); first - static_cast<int>(threadIdx.x) < pixels;
       first += kEach * kThreads) {
    int values[kEach];
#pragma unroll
    for (int k = 0; k < kEach; ++k) values[k] = first + k * kThreads < pixels ? read(first + k * kThreads) : 0;
    __syncthreads();
#pragma unroll
    for (int k = 0; k < kEach; ++k) {
      if (first + k * kThreads < pixels) write(first + k * kThreads, values[k]);
    }
    __syncthreads();
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
/// neighbor in the row joins is left to it.
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
  read_then_write(
      frame, [&](int place) { return root_of(forest, place); }, [&](int place, int root) { forest[place] = root; });
}

}  // namespace
}  // namespace cardiacseg::ops
