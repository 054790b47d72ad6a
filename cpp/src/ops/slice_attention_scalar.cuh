#pragma once

#include "cuda/warp.h"
#include "ops/slice_attention_sizes.cuh"

/// Either attention without tensor cores: a thread for each query.
namespace cardiacseg::ops {

/// Elements of a head as float32.
template <class T, int size>
__device__ __forceinline__ void load_head(float (&elements)[size], const T* from) {
  constexpr int kTogether = static_cast<int>(16 / sizeof(T));
#pragma unroll
  for (int first = 0; first < size; first += kTogether) {
    const uint4 bits = *reinterpret_cast<const uint4*>(from + first);
    if constexpr (sizeof(T) == 4) {
      elements[first] = __uint_as_float(bits.x);
      elements[first + 1] = __uint_as_float(bits.y);
      elements[first + 2] = __uint_as_float(bits.z);
      elements[first + 3] = __uint_as_float(bits.w);
    } else {
      const std::uint32_t pairs[4] = {bits.x, bits.y, bits.z, bits.w};
#pragma unroll
      for (int index = 0; index < 8; ++index) {
        elements[first + index] = to_float(T{static_cast<std::uint16_t>(pairs[index / 2] >> (index % 2 * 16))});
      }
    }
  }
}

template <class T, int size>
__device__ __forceinline__ void store_head(T* to, const float (&elements)[size], float factor) {
  constexpr int kTogether = static_cast<int>(16 / sizeof(T));
#pragma unroll
  for (int first = 0; first < size; first += kTogether) {
    uint4 bits;
    if constexpr (sizeof(T) == 4) {
      bits = make_uint4(__float_as_uint(elements[first] * factor), __float_as_uint(elements[first + 1] * factor),
                        __float_as_uint(elements[first + 2] * factor), __float_as_uint(elements[first + 3] * factor));
    } else {
      std::uint32_t pairs[4];
#pragma unroll
      for (int index = 0; index < 4; ++index) {
        const float low = elements[first + 2 * index] * factor;
        pairs[index] = cuda::pack<kFormat<T>>(low, elements[first + 2 * index + 1] * factor);
      }
      bits = make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]);
    }
    *reinterpret_cast<uint4*>(to + first) = bits;
  }
}

/// A query's row, and the rows that it attends over: `count` rows from `first` on, `step` apart.
struct Group {
  std::int64_t row;
  std::int64_t first;
  int step;
  int count;
};

/// Of query number `number`, counted stack by stack, position by position, slice by slice, so that the lanes of a warp
/// share the rows that they read.
__device__ __forceinline__ Group inter_slice_group(std::int64_t number, const std::int32_t* cu_slices, int stacks,
                                                   int positions) {
  const int slice = static_cast<int>(number / positions);
  int stack = 0;
  for (int end = stacks; end - stack > 1;) {
    const int middle = stack + (end - stack) / 2;
    (cu_slices[middle] <= slice ? stack : end) = middle;
  }
  const std::int64_t base = static_cast<std::int64_t>(cu_slices[stack]) * positions;
  const int count = cu_slices[stack + 1] - cu_slices[stack];
  const int local = static_cast<int>(number - base);
  const int position = local / count;
  return {base + static_cast<std::int64_t>(local % count) * positions + position, base + position, positions, count};
}

__device__ __forceinline__ Group intra_slice_group(std::int64_t number, int positions) {
  return {number, number / positions * positions, 1, positions};
}

/// `cu_slices` is null for intra-slice attention.
template <class T, int size>
__global__ void __launch_bounds__(128, 3)
    scalar_kernel(const T* __restrict__ qkv, const std::int32_t* __restrict__ cu_slices, int stacks,
                  AttentionSizes sizes, std::int64_t tokens, T* __restrict__ output) {
  const std::int64_t number = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (number >= tokens) return;
  const int head = static_cast<int>(blockIdx.y);
  const Group group = cu_slices == nullptr ? intra_slice_group(number, sizes.positions)
                                           : inter_slice_group(number, cu_slices, stacks, sizes.positions);
  float query[size];
  load_head<T, size>(query, query_of(qkv, group.row, sizes, head, size));
  const T* key_at = query_of(qkv, group.first, sizes, head, size) + sizes.channels;
  const std::int64_t step = static_cast<std::int64_t>(group.step) * 3 * sizes.channels;
  float largest = -INFINITY;
  float total = 0;
  float sums[size] = {};
  for (int index = 0; index < group.count; ++index, key_at += step) {
    float elements[size];
    load_head<T, size>(elements, key_at);
    float score = 0;
#pragma unroll
    for (int d = 0; d < size; ++d) score += query[d] * elements[d];
    if (score > largest) {  // seldom, after the first few
      const float factor = exp2f((largest - score) * sizes.scale);
      largest = score;
      total *= factor;
#pragma unroll
      for (int d = 0; d < size; ++d) sums[d] *= factor;
    }
    const float weight = exp2f((score - largest) * sizes.scale);
    total += weight;
    load_head<T, size>(elements, key_at + sizes.channels);
#pragma unroll
    for (int d = 0; d < size; ++d) sums[d] += weight * elements[d];
  }
  store_head<T, size>(output + group.row * sizes.channels + head * size, sums, 1 / total);
}

}  // namespace cardiacseg::ops
