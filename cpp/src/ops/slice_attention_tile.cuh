#pragma once

#include <cstdint>

#include "cuda/warp.h"
#include "ops/slice_attention_sizes.cuh"

/// A warp's share of an attention: 16 queries against keys of one head, on tensor cores, with the softmax made on the
/// way (Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018; Dao et al., "FlashAttention", 2022).
///
/// Lane l is number t = l % 4 of group g = l / 4 and has to do with queries g and g + 8. Where a matrix product sums
/// over the elements of a head, their order is free as long as queries and keys share it: each lane takes the elements
/// that lie side by side in memory, as many bytes at once as there are, and no lane has to hand any to another.
namespace cardiacseg::ops {

constexpr unsigned kAllLanes = 0xFFFFFFFFU;
constexpr int kTileQueries = 16;

/// One lane's quarter of a row of `size` 16-bit elements: register r holds elements column(r, t) and the next.
template <int size>
struct RowPart {
  static constexpr int kRegisters = size / 8;
  static constexpr int kTogether = size < 32 ? size / 4 : 8;  ///< elements side by side

  static __device__ __forceinline__ int column(int index, int t) {
    return 2 * index / kTogether * (4 * kTogether) + t * kTogether + 2 * index % kTogether;
  }

  std::uint32_t registers[kRegisters];

  __device__ __forceinline__ void clear() {
#pragma unroll
    for (int index = 0; index < kRegisters; ++index) registers[index] = 0;
  }

  /// `row` is the first element of the whole row, in any memory.
  template <class T>
  __device__ __forceinline__ void load(const T* row, int t) {
    if constexpr (size == 8) {
      registers[0] = *reinterpret_cast<const std::uint32_t*>(row + column(0, t));
    } else if constexpr (size == 16) {
      const uint2 pair = *reinterpret_cast<const uint2*>(row + column(0, t));
      registers[0] = pair.x;
      registers[1] = pair.y;
    } else {
#pragma unroll
      for (int index = 0; index < kRegisters; index += 4) {
        const uint4 four = *reinterpret_cast<const uint4*>(row + column(index, t));
        registers[index] = four.x;
        registers[index + 1] = four.y;
        registers[index + 2] = four.z;
        registers[index + 3] = four.w;
      }
    }
  }

  template <class T>
  __device__ __forceinline__ void store(T* row, int t) const {
    if constexpr (size == 8) {
      *reinterpret_cast<std::uint32_t*>(row + column(0, t)) = registers[0];
    } else if constexpr (size == 16) {
      *reinterpret_cast<uint2*>(row + column(0, t)) = make_uint2(registers[0], registers[1]);
    } else {
#pragma unroll
      for (int index = 0; index < kRegisters; index += 4) {
        *reinterpret_cast<uint4*>(row + column(index, t)) =
            make_uint4(registers[index], registers[index + 1], registers[index + 2], registers[index + 3]);
      }
    }
  }

  /// The row that `pointer` is the first element of, zeros if it is not `valid`.
  template <class T>
  static __device__ __forceinline__ RowPart read(const T* pointer, int t, bool valid) {
    RowPart part;
    part.clear();
    if (valid) part.load(pointer, t);
    return part;
  }
};

/// This lane's parts of queries g and g + 8.
template <int size>
struct QueryPair {
  RowPart<size> low;
  RowPart<size> high;
};

/// Products of the 16 queries with 8 keys, of which this lane brings its part of key g: those of query g with keys 2t
/// and 2t + 1, then those of query g + 8.
template <class T, int size>
__device__ __forceinline__ void multiply(float (&scores)[4], const QueryPair<size>& queries, const RowPart<size>& key) {
  const std::uint32_t(&low)[size / 8] = queries.low.registers;
  const std::uint32_t(&high)[size / 8] = queries.high.registers;
  scores[0] = scores[1] = scores[2] = scores[3] = 0;
  if constexpr (size == 8) {
    const std::uint32_t a[2] = {low[0], high[0]};
    cuda::multiply_add<kFormat<T>>(scores, a, key.registers[0]);
  } else {
#pragma unroll
    for (int index = 0; index < size / 8; index += 2) {
      const std::uint32_t a[4] = {low[index], high[index], low[index + 1], high[index + 1]};
      const std::uint32_t b[2] = {key.registers[index], key.registers[index + 1]};
      cuda::multiply_add<kFormat<T>>(scores, a, b);
    }
  }
}

/// Of the four lanes of a group.
__device__ __forceinline__ float largest_of_group(float value) {
  value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, 1));
  return fmaxf(value, __shfl_xor_sync(kAllLanes, value, 2));
}

__device__ __forceinline__ float sum_of_group(float value) {
  value += __shfl_xor_sync(kAllLanes, value, 1);
  return value + __shfl_xor_sync(kAllLanes, value, 2);
}

/// The state of queries g and g + 8 on their way over the keys. `values[n]` is columns 8 n + 2t and the next of g, then
/// of g + 8, in whatever order of columns the values come.
template <int size>
struct OnlineSoftmax {
  float largest[2] = {-INFINITY, -INFINITY};
  float total[2] = {0, 0};  ///< of the weights that this lane has seen
  float values[size / 8][4] = {};

  /// Turns products with 8 * blocks keys into weights, 1 for the heaviest key so far; those from `count` on do not
  /// count. What was summed before is made to fit. `scale` is log2(e) / sqrt(size).
  template <int blocks>
  __device__ __forceinline__ void weigh(float (&scores)[blocks][4], int count, int t, float scale) {
    float before[2] = {largest[0], largest[1]};
#pragma unroll
    for (int block = 0; block < blocks; ++block) {
#pragma unroll
      for (int index = 0; index < 4; ++index) {
        if (8 * block + 2 * t + index % 2 >= count) scores[block][index] = -INFINITY;
        largest[index / 2] = fmaxf(largest[index / 2], scores[block][index]);
      }
    }
#pragma unroll
    for (int row = 0; row < 2; ++row) {
      largest[row] = largest_of_group(largest[row]);
      rescale(row, exp2f((before[row] - largest[row]) * scale));
    }
#pragma unroll
    for (int block = 0; block < blocks; ++block) {
#pragma unroll
      for (int index = 0; index < 4; ++index) {
        // The difference first: its product with the scale, unlike the scores', is small where it matters.
        scores[block][index] = exp2f((scores[block][index] - largest[index / 2]) * scale);
        total[index / 2] += scores[block][index];
      }
    }
  }

  __device__ __forceinline__ void rescale(int row, float factor) {
    total[row] *= factor;
#pragma unroll
    for (int block = 0; block < size / 8; ++block) {
      values[block][2 * row] *= factor;
      values[block][2 * row + 1] *= factor;
    }
  }

  /// What the values are to be multiplied by at the end.
  __device__ __forceinline__ float inverse_total(int row) const { return 1 / sum_of_group(total[row]); }
};

/// Weights for 16 keys as the first factor of their product with the values.
template <class T>
__device__ __forceinline__ void pack_weights(std::uint32_t (&packed)[4], const float (&low)[4],
                                             const float (&high)[4]) {
  packed[0] = cuda::pack<kFormat<T>>(low[0], low[1]);
  packed[1] = cuda::pack<kFormat<T>>(low[2], low[3]);
  packed[2] = cuda::pack<kFormat<T>>(high[0], high[1]);
  packed[3] = cuda::pack<kFormat<T>>(high[2], high[3]);
}

}  // namespace cardiacseg::ops
