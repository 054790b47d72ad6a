#include <cuda_runtime.h>

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <string>

#include "cuda/launch.h"
#include "ops/percentile_range_cuda.h"
#include "ops/percentile_range_select.cuh"
#include "ops/require.h"

namespace cardiacseg::ops {
namespace {

/// The only pass over short pixels, the first over others. Shared CTAs take several stacks, one after the other.
template <class Pixel>
__global__ void __launch_bounds__(kThreads) percentile_keys(Job job) {
  __shared__ OwnCounts<Pixel> own;
  __shared__ unsigned found[kRanks];
  const std::int64_t slot = blockIdx.x / job.parts;
  unsigned* table = job.tables + slot * kTables<Pixel> * kTable;
  const unsigned warp = threadIdx.x / 32;
  own.clear();
  for (std::int64_t stack = slot; stack < job.stacks; stack += job.slots) {
    __syncthreads();
    count_keys<Pixel>(job, job.lines.start + stack * job.stack_step, own, table);
    own.flush(table);
    if (!comes_last(job, &job.tickets[slot])) continue;
    if (warp < kRanks) {
      const Place place = find_key(table, job.ranks.rank[warp]);
      if (threadIdx.x % 32 == 0) found[warp] = place.bin;
      if (!PixelKeys<Pixel>::kShort && threadIdx.x % 32 == 0) {
        job.halves[stack].half[warp] = place.bin;
        job.halves[stack].rest[warp] = place.rest;
      }
    }
    __syncthreads();
    clear_table(table);
    if (PixelKeys<Pixel>::kShort && threadIdx.x == 0) write_range<Pixel>(job, found, &job.ranges[stack]);
  }
}

/// The second pass over pixels that are not short.
template <class Pixel>
__global__ void __launch_bounds__(kThreads) percentile_lower_halves(Job job) {
  __shared__ unsigned coarse[kRanks * kCoarse];
  __shared__ unsigned found[kRanks];
  const std::int64_t slot = blockIdx.x / job.parts;
  unsigned* tables = job.tables + slot * kRanks * kTable;
  const unsigned warp = threadIdx.x / 32;
  for (unsigned i = threadIdx.x; i < kRanks * kCoarse; i += kThreads) coarse[i] = 0;
  for (std::int64_t stack = slot; stack < job.stacks; stack += job.slots) {
    const Halves requested = job.halves[stack];
    __syncthreads();
    count_lower_halves<Pixel>(job, job.lines.start + stack * job.stack_step, requested, tables, coarse);
    __syncthreads();
    for (unsigned i = threadIdx.x; i < kRanks * kCoarse; i += kThreads) {
      if (coarse[i] > 0) atomicAdd(&tables[i / kCoarse * kTable + i % kCoarse], coarse[i]);
      coarse[i] = 0;
    }
    if (!comes_last(job, &job.tickets[slot])) continue;
    if (warp < kRanks) {
      unsigned first = warp;  // equal halves are counted in the first's table
#pragma unroll
      for (int k = kRanks - 1; k >= 0; --k) first = job.halves[stack].half[warp] == requested.half[k] ? k : first;
      const Place place = find_key(tables + first * kTable, job.halves[stack].rest[warp]);
      if (threadIdx.x % 32 == 0) found[warp] = job.halves[stack].half[warp] << 16 | place.bin;
    }
    __syncthreads();
    for (unsigned k = 0; k < kRanks; ++k) clear_table(tables + k * kTable);
    if (threadIdx.x == 0) {
      write_range<Pixel>(job, found, &job.ranges[stack]);
      job.halves[stack] = Halves{};
    }
  }
}

/// Bytes of the workspace's parts.
struct Workspace {
  std::size_t tables;
  std::size_t tickets;
  std::size_t halves;
};

std::int64_t slot_count(std::int64_t stacks, std::int64_t voxels) {
  return voxels <= kShare ? std::min(stacks, kSharedSlots) : stacks;
}

Workspace workspace_of(PixelType type, std::int64_t stacks, std::int64_t voxels) {
  element_count("percentile_range", {stacks, voxels});
  Workspace bytes{};
  visit_pixel_type(type, [&](auto pixel) {
    using Pixel = decltype(pixel);
    const std::size_t slots =
        element_count("percentile_range", {slot_count(stacks, voxels), kTables<Pixel>, 4 * kTable});
    bytes = {slots, slots / kTables<Pixel> / kTable, 0};
    if (!PixelKeys<Pixel>::kShort) bytes.halves = static_cast<std::size_t>(stacks) * sizeof(Halves);
  });
  return bytes;
}

bool in_vectors(const Lines& lines, std::int64_t bytes, std::int64_t stack_step) {
  return lines.step == bytes && reinterpret_cast<std::uintptr_t>(lines.start) % 16 == 0 && stack_step % 16 == 0 &&
         lines.outer_step % 16 == 0 && lines.inner_step % 16 == 0;
}

/// CTAs of a stack: one for each kShare pixels, or fewer if all stacks' CTAs would not run at the same time, as each
/// begins with clearing its counts and ends with adding them to the stack's.
std::int64_t part_count(std::int64_t pixels, std::int64_t stacks) {
  int device = 0;
  int multiprocessors = 0;
  cuda::check(cudaGetDevice(&device), "cudaGetDevice");
  cuda::check(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device),
              "cudaDeviceGetAttribute");
  const std::int64_t together = std::max<std::int64_t>(1, kCtasTogether * multiprocessors / stacks);
  return std::min((pixels + kShare - 1) / kShare, together);
}

Job job_of(const Pixels& pixels, const PercentileRanks& ranks, std::int64_t group, IntensityRange* ranges) {
  Job job{};
  job.lines = lines_of(pixels);
  job.stacks = pixels.stacks;
  job.stack_step = pixels.stacks > 1 ? pixels.stack_step : 0;
  const std::int64_t voxels = pixels.slices * pixels.rows * pixels.columns;
  const std::int64_t line_groups = (job.lines.length + group - 1) / group;
  const std::int64_t groups = line_groups * job.lines.outer * job.lines.inner;
  const std::int64_t parts = voxels <= kShare ? 1 : part_count(groups * group, pixels.stacks);
  job.groups = static_cast<unsigned>(groups);
  job.line_groups = static_cast<unsigned>(line_groups);
  job.parts = static_cast<unsigned>(parts);
  job.slots = static_cast<unsigned>(std::min<std::int64_t>(slot_count(pixels.stacks, voxels), 0xFFFFFFFFU));
  if (job.slots > std::numeric_limits<std::int32_t>::max() / parts) {
    throw std::invalid_argument("percentile_range: " + std::to_string(pixels.stacks) + " stacks of " +
                                std::to_string(voxels) + " pixels are too many for one call");
  }
  job.aligned = all_aligned(pixels);
  job.vectors = in_vectors(job.lines, static_cast<std::int64_t>(size_of(pixels.type)), job.stack_step);
  job.ranks = ranks;
  job.ranges = ranges;
  return job;
}

void place(Job& job, const Workspace& bytes, void* workspace) {
  auto* at = static_cast<unsigned char*>(workspace);
  job.tables = reinterpret_cast<unsigned*>(at);
  job.tickets = reinterpret_cast<unsigned*>(at + bytes.tables);
  job.halves = reinterpret_cast<Halves*>(at + bytes.tables + bytes.tickets);
}

template <class Pixel>
void launch_passes(const Job& job, DeviceStream stream, std::true_type) {
  cuda::launch("percentile_range", percentile_keys<Pixel>, dim3(job.parts * job.slots), dim3(kThreads), stream, job);
}

template <class Pixel>
void launch_passes(const Job& job, DeviceStream stream, std::false_type) {
  launch_passes<Pixel>(job, stream, std::true_type());
  cuda::launch("percentile_range", percentile_lower_halves<Pixel>, dim3(job.parts * job.slots), dim3(kThreads), stream,
               job);
}

}  // namespace

std::size_t percentile_range_workspace(PixelType type, std::int64_t stacks, std::int64_t voxels) {
  const Workspace bytes = workspace_of(type, stacks, voxels);
  return bytes.tables + bytes.tickets + bytes.halves;
}

void percentile_range_cuda(const Pixels& pixels, double lower, double upper, void* workspace, IntensityRange* ranges,
                           DeviceStream stream) {
  element_count("percentile_range", {pixels.stacks, pixels.slices, pixels.rows, pixels.columns});
  const std::int64_t voxels = pixels.slices * pixels.rows * pixels.columns;
  const PercentileRanks ranks = percentile_ranks(voxels, lower, upper);
  const Workspace bytes = workspace_of(pixels.type, pixels.stacks, voxels);
  visit_pixel_type(pixels.type, [&](auto pixel) {
    using Pixel = decltype(pixel);
    Job job = job_of(pixels, ranks, kGroup<Pixel>, ranges);
    place(job, bytes, workspace);
    launch_passes<Pixel>(job, stream, std::integral_constant<bool, PixelKeys<Pixel>::kShort>());
  });
}

}  // namespace cardiacseg::ops
