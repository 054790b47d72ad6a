#include <algorithm>
#include <stdexcept>
#include <string>

#include "cuda/launch.h"
#include "ops/keep_largest_component_cuda.h"
#include "ops/keep_largest_component_regions.cuh"
#include "ops/require.h"

namespace cardiacseg::ops {
namespace {

constexpr std::int64_t kSlots = 512;  // workspaces; CTAs take slices in turn
constexpr int kOwnForest = 10240;     // pixels of a frame that needs no workspace
constexpr int kHoles = 256;           // holes that are filled together

/// One call, by value to the kernel.
struct Job {
  std::uint8_t* labels;
  std::int64_t slices;
  int plane;
  int columns;
  bool vectors;  // every slice begins at a multiple of 16 bytes
  std::int64_t forest_size;
  int* forests;  // [slots, forest_size]
};

/// Of each structure the largest region stays, of equal ones the first. In the forest a root's entry becomes minus the
/// number of pixels of its region. Barriers inside and at the end.
__device__ void keep_largest(const Frame& frame, int* forest) {
  __shared__ unsigned long long largest[3];  // size, then the complement of the root's place
  find_regions<true>(frame, forest, [](unsigned label) { return label > 0; });
  if (threadIdx.x < 3) largest[threadIdx.x] = 0;
  for_pixels(frame, [&](int row, int column, int place) {
    if (frame.label(row, column) == 0 || forest[place] == place) forest[place] = -1;
  });
  __syncthreads();
  read_then_write(
      frame, [&](int place) { return forest[place]; },
      [&](int, int root) {
        if (root >= 0) atomicAdd(&forest[root], -1);
      });
  for_pixels(frame, [&](int row, int column, int place) {
    const unsigned label = frame.label(row, column);
    if (label == 0 || forest[place] >= 0) return;
    const auto size = static_cast<unsigned>(-forest[place]);
    atomicMax(&largest[label - 1], static_cast<unsigned long long>(size) << 32 | ~static_cast<unsigned>(place));
  });
  __syncthreads();
  for_pixels(frame, [&](int row, int column, int place) {
    const unsigned label = frame.label(row, column);
    if (label == 0) return;
    const int root = forest[place] < 0 ? place : forest[place];
    if (~static_cast<unsigned>(largest[label - 1]) != static_cast<unsigned>(root)) *frame.at(row, column) = 0;
  });
  __syncthreads();
}

/// Numbers the holes: in the forest a hole's root gets minus its number, from 1 on. Gives how many there are. The
/// region of the frame's own rim, whose root is place 0, is none. Barriers inside and at the end.
__device__ int number_holes(const Frame& frame, int* forest) {
  __shared__ int count;
  find_regions<false>(frame, forest, [](unsigned label) { return label == 0; });
  if (threadIdx.x == 0) count = 0;
  __syncthreads();
  for_pixels(frame, [&](int row, int column, int place) {
    if (place > 0 && forest[place] == place && frame.label(row, column) == 0) {
      forest[place] = -1 - atomicAdd(&count, 1);
    }
  });
  __syncthreads();
  return count;
}

/// Calls `visit(row, column, hole)` for the pixels of holes, which are counted from 0.
template <class Visit>
__device__ void for_hole_pixels(const Frame& frame, const int* forest, const Visit& visit) {
  for_pixels(frame, [&](int row, int column, int place) {
    if (frame.label(row, column) != 0) return;
    const int entry = forest[place] < 0 ? forest[place] : forest[forest[place]];
    if (entry < 0) visit(row, column, -1 - entry);
  });
}

/// Pairs of a hole's pixel and a neighbor with label 1, 2 or 3.
struct Border {
  unsigned pairs[3];

  __device__ void take(unsigned label) {
    if (label > 0) atomicAdd(&pairs[label - 1], 1U);
  }
  __device__ std::uint8_t most() const {
    if (pairs[0] >= pairs[1] && pairs[0] >= pairs[2]) return 1;
    return pairs[1] >= pairs[2] ? 2 : 3;
  }
};

/// Fills holes `first` to `first + kHoles`. Barriers inside and at the end.
__device__ void fill_some(const Frame& frame, const int* forest, int first) {
  __shared__ Border borders[kHoles];
  if (threadIdx.x < kHoles) borders[threadIdx.x] = {{0, 0, 0}};
  __syncthreads();
  for_hole_pixels(frame, forest, [&](int row, int column, int hole) {
    if (hole < first || hole >= first + kHoles) return;
    Border& border = borders[hole - first];
    border.take(frame.label(row - 1, column));
    border.take(frame.label(row, column - 1));
    border.take(frame.label(row, column + 1));
    border.take(frame.label(row + 1, column));
  });
  __syncthreads();
  for_hole_pixels(frame, forest, [&](int row, int column, int hole) {
    if (hole >= first && hole < first + kHoles) *frame.at(row, column) = borders[hole - first].most();
  });
  __syncthreads();
}

__global__ void __launch_bounds__(kThreads, 2) clean_slices(const Job job) {
  __shared__ int own_forest[kOwnForest];
  for (std::int64_t slice = blockIdx.x; slice < job.slices; slice += gridDim.x) {
    const Frame frame = frame_of(job.labels + slice * job.plane, job.plane, job.columns, job.vectors);
    if (frame.rows > 0) {
      const bool fits = frame.rows * frame.width <= kOwnForest;
      int* forest = fits ? own_forest : job.forests + blockIdx.x * job.forest_size;
      keep_largest(frame, forest);
      const int holes = number_holes(frame, forest);
      for (int first = 0; first < holes; first += kHoles) fill_some(frame, forest, first);
    }
    __syncthreads();
  }
}

/// Entries of a forest for the largest frame of a slice.
std::int64_t forest_size(std::int64_t slices, std::int64_t rows, std::int64_t columns) {
  element_count("labels of keep_largest_component", {slices, rows, columns});
  if (rows < 1 << 30 && columns < 1 << 30 && (rows + 2) * (columns + 2) < 1 << 30) return (rows + 2) * (columns + 2);
  throw std::invalid_argument(
      "labels of keep_largest_component: expected fewer than 2^30 pixels in a slice and its rim, got " +
      std::to_string(rows) + " x " + std::to_string(columns));
}

}  // namespace

std::size_t keep_largest_component_workspace(std::int64_t slices, std::int64_t rows, std::int64_t columns) {
  return element_count("workspace of keep_largest_component",
                       {std::min(slices, kSlots), forest_size(slices, rows, columns), sizeof(int)});
}

void keep_largest_component_cuda(std::uint8_t* labels, std::int64_t slices, std::int64_t rows, std::int64_t columns,
                                 void* workspace, DeviceStream stream) {
  Job job{};
  job.forest_size = forest_size(slices, rows, columns);
  job.labels = labels;
  job.slices = slices;
  job.plane = static_cast<int>(rows * columns);
  job.columns = static_cast<int>(columns);
  job.vectors = reinterpret_cast<std::uintptr_t>(labels) % 16 == 0 && job.plane % 16 == 0;
  job.forests = static_cast<int*>(workspace);
  const auto ctas = static_cast<unsigned>(std::min(slices, kSlots));
  cuda::launch("keep_largest_component", clean_slices, dim3(ctas), dim3(kThreads), stream, job);
}

}  // namespace cardiacseg::ops
