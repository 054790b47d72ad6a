#pragma once

#include "ops/percentile_range_count.cuh"

/// The second half: finding the ranks among the counts, by the CTA that comes last.
namespace cardiacseg::ops {
namespace {

/// Position of a rank among 256 counts.
struct Place {
  unsigned bin;
  unsigned rest;  // its rank among the values of the bin
};

/// By one warp: each lane takes eight counts. All lanes get the place.
__device__ Place find(const unsigned* counts, unsigned rank) {
  const unsigned lane = threadIdx.x % 32;
  unsigned count[8];
  unsigned sum = 0;
#pragma unroll
  for (unsigned i = 0; i < 8; ++i) sum += count[i] = counts[8 * lane + i];
  unsigned end = sum;
#pragma unroll
  for (unsigned step = 1; step < 32; step *= 2) {
    const unsigned below = __shfl_up_sync(kAllLanes, end, step);
    if (lane >= step) end += below;
  }
  unsigned bin = 8 * lane;
  unsigned rest = rank - (end - sum);
  const bool here = rank < end && rank >= end - sum;
  bool found = false;
#pragma unroll
  for (unsigned i = 0; i < 8; ++i) {
    found = found || rest < count[i];
    if (!found) {
      rest -= count[i];
      ++bin;
    }
  }
  const int owner = __ffs(static_cast<int>(__ballot_sync(kAllLanes, here))) - 1;
  return {__shfl_sync(kAllLanes, bin, owner), __shfl_sync(kAllLanes, rest, owner)};
}

/// The key of a rank in a stack's table. By one warp.
__device__ Place find_key(const unsigned* table, unsigned rank) {
  const Place coarse = find(table, rank);
  const Place fine = find(table + kCoarse + coarse.bin * 256, coarse.rest);
  return {coarse.bin * 256 + fine.bin, fine.rest};
}

/// By one CTA, each warp some of the bytes.
__device__ void clear_table(unsigned* table) {
  const unsigned lane = threadIdx.x % 32;
  for (unsigned byte = threadIdx.x / 32; byte < kCoarse; byte += kThreads / 32) {
    if (table[byte] == 0) continue;
    __syncwarp();
    for (unsigned i = lane; i < 256; i += 32) table[kCoarse + byte * 256 + i] = 0;
    if (lane == 0) table[byte] = 0;
  }
}

/// Whether this CTA is the last of its stack to come here: what the others counted is then there to be read.
__device__ bool comes_last(const Job& job, unsigned* ticket) {
  __shared__ bool last;
  __syncthreads();
  if (threadIdx.x == 0) {
    __threadfence();
    last = atomicAdd(ticket, 1U) + 1 == job.parts;
    if (last) *ticket = 0;
    __threadfence();
  }
  __syncthreads();
  return last;
}

template <class Pixel>
__device__ void write_range(const Job& job, const unsigned (&key)[kRanks], IntensityRange* range) {
  float value[kRanks];
#pragma unroll
  for (int k = 0; k < kRanks; ++k) value[k] = PixelKeys<Pixel>::value(key[k]);
  const bool finite =
      PixelKeys<Pixel>::kShort || (finite_key_half(key[0] >> 16) && finite_key_half(key[kRanks - 1] >> 16));
  const float nan = float_of(0x7FC00000U);
  *range = finite ? range_of_values(value, job.ranks) : IntensityRange{nan, nan};
}

}  // namespace
}  // namespace cardiacseg::ops
