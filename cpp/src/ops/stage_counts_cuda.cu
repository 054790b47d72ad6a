#include <cstring>
#include <limits>

#include "cuda/launch.h"
#include "ops/stage_counts_common.h"
#include "ops/stage_counts_cuda.h"

namespace cardiacseg::ops {
namespace {

constexpr unsigned kThreads = 256;
constexpr unsigned kShare = 2048;  // pixels of a slice that a CTA counts

/// One call, by value to the kernel.
struct Job {
  const float* seg;
  const float* ref;
  const float* presence;
  float threshold;
  std::int64_t plane;
  unsigned slices;  // of one stack
  unsigned parts;   // CTAs of a slice
  LabelCounts* counts;
};

/// Numbers of pixels of each label, 16 bits for each: a warp counts no more than 256 pixels.
using PackedCounts = unsigned long long;

struct ThreadCounts {
  PackedCounts first;
  PackedCounts second;
  PackedCounts both;
};

/// Logits of successive pixels, one or four.
template <unsigned kPixels>
struct Group {
  float logit[4][kPixels];
};

__device__ void load(const float* from, float (&to)[1]) { to[0] = *from; }

__device__ void load(const float* from, float (&to)[4]) {
  const uint4 loaded = *reinterpret_cast<const uint4*>(from);
  std::memcpy(to, &loaded, sizeof loaded);
}

template <unsigned kPixels>
__device__ Group<kPixels> load_group(const float* logits, std::int64_t plane) {
  Group<kPixels> group;
#pragma unroll
  for (int label = 0; label < 4; ++label) load(logits + label * plane, group.logit[label]);
  return group;
}

template <unsigned kPixels>
__device__ int label_of(const Group<kPixels>& group, unsigned pixel, const Gate& gate) {
  return best_open_label(gate, group.logit[0][pixel], group.logit[1][pixel], group.logit[2][pixel],
                         group.logit[3][pixel]);
}

/// Counts pixels `begin` to `end` of a slice.
template <unsigned kPixels>
__device__ ThreadCounts count_share(const Job& job, unsigned slice, std::int64_t begin, std::int64_t end) {
  const Gate gate = presence_gate(job.presence, slice, job.threshold);
  const Gate all_open{{true, true, true}};
  const std::int64_t start = 4 * job.plane * slice;
  ThreadCounts counts{};
  for (std::int64_t at = begin + kPixels * threadIdx.x; at < end; at += kPixels * kThreads) {
    const Group<kPixels> seg = load_group<kPixels>(job.seg + start + at, job.plane);
    const Group<kPixels> ref = load_group<kPixels>(job.ref + start + at, job.plane);
#pragma unroll
    for (unsigned pixel = 0; pixel < kPixels; ++pixel) {
      const int first = label_of(seg, pixel, all_open);
      const int second = label_of(ref, pixel, gate);
      counts.first += 1ULL << (16 * first);
      counts.second += 1ULL << (16 * second);
      if (first == second) counts.both += 1ULL << (16 * first);
    }
  }
  return counts;
}

__device__ PackedCounts sum_of_warp(PackedCounts counts) {
#pragma unroll
  for (int lanes = 16; lanes > 0; lanes /= 2) counts += __shfl_xor_sync(0xFFFFFFFFU, counts, lanes);
  return counts;
}

/// Adds what the threads of a CTA counted to a LabelCounts, as the 12 numbers that it is.
__device__ void add_counts(const ThreadCounts& counts, std::int32_t* to) {
  __shared__ std::int32_t sums[12];
  if (threadIdx.x < 12) sums[threadIdx.x] = 0;
  __syncthreads();
  const PackedCounts first = sum_of_warp(counts.first);
  const PackedCounts second = sum_of_warp(counts.second);
  const PackedCounts both = sum_of_warp(counts.both);
  const unsigned lane = threadIdx.x % 32;
  if (lane < 12) {
    const PackedCounts mine = lane < 4 ? first : lane < 8 ? second : both;
    atomicAdd(&sums[lane], static_cast<std::int32_t>(mine >> (16 * (lane % 4)) & 0xFFFFU));
  }
  __syncthreads();
  if (threadIdx.x < 12 && sums[threadIdx.x] > 0) atomicAdd(to + threadIdx.x, sums[threadIdx.x]);
}

template <unsigned kPixels>
__global__ void __launch_bounds__(kThreads) count_labels(const Job job) {
  const unsigned slice = blockIdx.x / job.parts;
  const std::int64_t begin = static_cast<std::int64_t>(blockIdx.x - slice * job.parts) * kShare;
  const std::int64_t end = begin + kShare < job.plane ? begin + kShare : job.plane;
  const ThreadCounts counts = count_share<kPixels>(job, slice, begin, end);
  add_counts(counts, reinterpret_cast<std::int32_t*>(job.counts + slice / job.slices));
}

/// Whether every plane begins at a multiple of 16 bytes.
bool in_vectors(const float* logits, std::int64_t plane) {
  return reinterpret_cast<std::uintptr_t>(logits) % 16 == 0 && plane % 4 == 0;
}

dim3 grid_of(const StageShape& shape, unsigned parts) {
  const std::int64_t slices = shape.stacks * shape.slices;
  if (slices <= std::numeric_limits<std::int32_t>::max() / parts) return {static_cast<unsigned>(slices) * parts};
  throw std::invalid_argument("logits of stage_counts_cuda: expected fewer than 2^31 CTAs, got " +
                              std::to_string(slices) + " slices of " + std::to_string(parts));
}

}  // namespace

void stage_counts_cuda(const float* seg, const float* ref, const float* presence, float threshold,
                       const StageShape& shape, LabelCounts* counts, DeviceStream stream) {
  require_stages(shape);
  const std::int64_t plane = shape.rows * shape.columns;
  const auto parts = static_cast<unsigned>((plane - 1) / kShare + 1);
  const Job job{seg, ref, presence, threshold, plane, static_cast<unsigned>(shape.slices), parts, counts};
  const bool vectors = in_vectors(seg, plane) && in_vectors(ref, plane);
  cuda::launch("stage_counts", vectors ? count_labels<4> : count_labels<1>, grid_of(shape, parts), dim3(kThreads),
               stream, job);
}

}  // namespace cardiacseg::ops
