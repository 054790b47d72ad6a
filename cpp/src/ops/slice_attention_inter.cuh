#pragma once

#include "ops/slice_attention_sizes.cuh"
#include "ops/slice_attention_tile.cuh"

/// Inter-slice attention on tensor cores: a warp for each stack, position and head, without shared memory.
namespace cardiacseg::ops {

constexpr int kInterSliceWarps = 8;  ///< of a CTA at most, each with a head of its own

/// Tokens of one stack at one position: `count` rows, a slice apart, of which these are the elements of one head.
template <class T>
struct Column {
  const T* query;     ///< of the first slice
  T* result;          ///< of the first slice
  int channels;       ///< from the query to the key
  std::int64_t step;  ///< elements from slice to slice of `query`
  int count;
};

/// Products of queries with the keys of slices `first` and on, weights, and sums of those slices' values.
template <class T, int size>
__device__ __forceinline__ void attend_to_16_slices(OnlineSoftmax<size>& softmax, const QueryPair<size>& queries,
                                                    const Column<T>& column, int first, float scale, int g, int t) {
  using Part = RowPart<size>;
  const T* key = column.query + (first + g) * column.step + column.channels;
  const bool low = first + g < column.count;
  const bool high = first + g + 8 < column.count;
  const Part key_low = Part::read(key, t, low);
  const Part key_high = Part::read(key + 8 * column.step, t, high);
  const Part value_low = Part::read(key + column.channels, t, low);
  const Part value_high = Part::read(key + 8 * column.step + column.channels, t, high);
  float scores[2][4];
  multiply<T>(scores[0], queries, key_low);
  multiply<T>(scores[1], queries, key_high);
  softmax.weigh(scores, column.count - first, t, scale);
  std::uint32_t weights[4];
  pack_weights<T>(weights, scores[0], scores[1]);
#pragma unroll
  for (int index = 0; index < size / 8; ++index) {
    const std::uint32_t b[2] = {cuda::transpose(value_low.registers[index]),
                                cuda::transpose(value_high.registers[index])};
    cuda::multiply_add<kFormat<T>>(softmax.values[index], weights, b);
  }
}

/// The sums' columns 2t and 2t + 1 of block n are, by the way the values were transposed, this lane's part of the row.
template <class T, int size>
__device__ __forceinline__ void store_row(T* row, const OnlineSoftmax<size>& softmax, int which, int t, bool valid) {
  const float factor = softmax.inverse_total(which);
  RowPart<size> part;
#pragma unroll
  for (int index = 0; index < size / 8; ++index) {
    const float(&sums)[4] = softmax.values[index];
    part.registers[index] = cuda::pack<kFormat<T>>(sums[2 * which] * factor, sums[2 * which + 1] * factor);
  }
  if (valid) part.store(row, t);
}

template <class T, int size>
__global__ void __launch_bounds__(32 * kInterSliceWarps, 1)
    inter_slice_kernel(const T* __restrict__ qkv, const std::int32_t* __restrict__ cu_slices, AttentionSizes sizes,
                       T* __restrict__ output) {
  const int head = static_cast<int>(blockIdx.y * blockDim.y + threadIdx.y);
  if (head >= sizes.heads) return;
  const unsigned stack = blockIdx.x / static_cast<unsigned>(sizes.positions);
  const unsigned position = blockIdx.x % static_cast<unsigned>(sizes.positions);
  const int first_slice = cu_slices[stack];
  const std::int64_t row = static_cast<std::int64_t>(first_slice) * sizes.positions + position;
  const Column<T> column{query_of(qkv, row, sizes, head, size), output + row * sizes.channels + head * size,
                         sizes.channels, static_cast<std::int64_t>(sizes.positions) * 3 * sizes.channels,
                         cu_slices[stack + 1] - first_slice};
  const int g = static_cast<int>(threadIdx.x / 4);
  const int t = static_cast<int>(threadIdx.x % 4);
  for (int query = 0; query < column.count; query += kTileQueries) {
    const T* low = column.query + (query + g) * column.step;
    const QueryPair<size> queries{RowPart<size>::read(low, t, query + g < column.count),
                                  RowPart<size>::read(low + 8 * column.step, t, query + g + 8 < column.count)};
    OnlineSoftmax<size> softmax;
    for (int key = 0; key < column.count; key += 16) {
      attend_to_16_slices(softmax, queries, column, key, sizes.scale, g, t);
    }
    T* result = column.result + (query + g) * (column.step / 3);
    store_row(result, softmax, 0, t, query + g < column.count);
    store_row(result + 8 * (column.step / 3), softmax, 1, t, query + g + 8 < column.count);
  }
}

}  // namespace cardiacseg::ops
