#pragma once

#include "ops/slice_attention_sizes.cuh"
#include "ops/slice_attention_tile.cuh"

/// Intra-slice attention on tensor cores: 16 queries a warp; keys and values of a head pass through shared memory.
namespace cardiacseg::ops {

constexpr int kIntraSliceWarps = 9;  ///< of a CTA at most: 144 positions, 12 x 12, in one
constexpr int kStageKeys = 64;
constexpr int kChunkKeys = 32;  ///< that a warp takes on at once

/// Keys and values of 64 positions. The strides leave no two rows that are read at once in the same banks.
template <class T, int size>
struct Stage {
  T keys[kStageKeys][size == 64 ? 96 : size];
  T values[kStageKeys][size == 8 ? 8 : size + 8];
};

/// Begins to copy positions `first` and on; those past the slice's end become zeros. `key` is that of position 0.
template <class T, int size>
__device__ __forceinline__ void begin_copy(Stage<T, size>& stage, const T* key, int first,
                                           const AttentionSizes& sizes) {
  constexpr int kPieces = size / 8;  // of 16 bytes, in a row
  const int thread = static_cast<int>(threadIdx.y * 32 + threadIdx.x);
  for (int index = thread; index < kStageKeys * kPieces; index += static_cast<int>(blockDim.y * 32)) {
    const int row = index / kPieces;
    const int element = index % kPieces * 8;
    const bool valid = first + row < sizes.positions;
    const T* from = key + static_cast<std::int64_t>(valid ? first + row : 0) * 3 * sizes.channels + element;
    cuda::copy_16_bytes(&stage.keys[row][element], from, valid);
    cuda::copy_16_bytes(&stage.values[row][element], from + sizes.channels, valid);
  }
  cuda::commit_copies();
}

/// Adds up the values of 32 positions from `first` on, by their weights. Matrix number i of the values is rows 8 (i %
/// 2) and on of 16, columns 8 (i / 2 % n) and on, of the first or second 16 rows, where n blocks make a row.
template <class T, int size>
__device__ __forceinline__ void add_values(OnlineSoftmax<size>& softmax, const float (&scores)[kChunkKeys / 8][4],
                                           const Stage<T, size>& stage, int first) {
  constexpr int kBlocks = size / 8;
  std::uint32_t weights[2][4];
  pack_weights<T>(weights[0], scores[0], scores[1]);
  pack_weights<T>(weights[1], scores[2], scores[3]);
#pragma unroll
  for (int matrix = 0; matrix < 4 * kBlocks; matrix += 4) {
    const int mine = matrix + static_cast<int>(threadIdx.x / 8);
    const int row = mine / 2 / kBlocks * 16 + mine % 2 * 8 + static_cast<int>(threadIdx.x % 8);
    std::uint32_t four[4];
    cuda::load_transposed(four, &stage.values[first + row][mine / 2 % kBlocks * 8]);
#pragma unroll
    for (int pair = 0; pair < 2; ++pair) {
      const int index = matrix / 2 + pair;
      const std::uint32_t b[2] = {four[2 * pair], four[2 * pair + 1]};
      cuda::multiply_add<kFormat<T>>(softmax.values[index % kBlocks], weights[index / kBlocks], b);
    }
  }
}

/// Takes on the `count` positions, or as many of them as there are, that a stage holds.
template <class T, int size>
__device__ __forceinline__ void attend_to_stage(OnlineSoftmax<size>& softmax, const QueryPair<size>& queries,
                                                const Stage<T, size>& stage, int count, float scale) {
  const int g = static_cast<int>(threadIdx.x / 4);
  const int t = static_cast<int>(threadIdx.x % 4);
#pragma unroll 1
  for (int first = 0; first < kStageKeys && first < count; first += kChunkKeys) {
    float scores[kChunkKeys / 8][4];
#pragma unroll
    for (int block = 0; block < kChunkKeys / 8; ++block) {
      RowPart<size> key;
      key.load(&stage.keys[first + 8 * block + g][0], t);
      multiply<T>(scores[block], queries, key);
    }
    softmax.weigh(scores, count - first, t, scale);
    add_values(softmax, scores, stage, first);
  }
}

template <class T, int size>
__device__ __forceinline__ void store_values(T* row, const OnlineSoftmax<size>& softmax, int which, int t, bool valid) {
  const float factor = softmax.inverse_total(which);
#pragma unroll
  for (int block = 0; block < size / 8; ++block) {
    const float(&sums)[4] = softmax.values[block];
    const std::uint32_t pair = cuda::pack<kFormat<T>>(sums[2 * which] * factor, sums[2 * which + 1] * factor);
    if (valid) *reinterpret_cast<std::uint32_t*>(row + 8 * block + 2 * t) = pair;
  }
}

/// CTA number ((slice * heads) + head) * parts + part takes on as many tiles of 16 queries as it has warps.
template <class T, int size>
__global__ void __launch_bounds__(32 * kIntraSliceWarps, 1)
    intra_slice_kernel(const T* __restrict__ qkv, AttentionSizes sizes, int parts, T* __restrict__ output) {
  alignas(16) __shared__ Stage<T, size> stages[2];
  const int part = static_cast<int>(blockIdx.x % static_cast<unsigned>(parts));
  const unsigned pair = blockIdx.x / static_cast<unsigned>(parts);
  const int head = static_cast<int>(pair % static_cast<unsigned>(sizes.heads));
  const std::int64_t first_row = static_cast<std::int64_t>(pair / static_cast<unsigned>(sizes.heads)) * sizes.positions;
  const T* first = query_of(qkv, first_row, sizes, head, size);
  begin_copy<T, size>(stages[0], first + sizes.channels, 0, sizes);

  const int g = static_cast<int>(threadIdx.x / 4);
  const int t = static_cast<int>(threadIdx.x % 4);
  const int query = (part * static_cast<int>(blockDim.y) + static_cast<int>(threadIdx.y)) * kTileQueries + g;
  const T* low = first + static_cast<std::int64_t>(query) * 3 * sizes.channels;
  const QueryPair<size> queries{RowPart<size>::read(low, t, query < sizes.positions),
                                RowPart<size>::read(low + 8 * 3 * sizes.channels, t, query + 8 < sizes.positions)};
  OnlineSoftmax<size> softmax;
  for (int key = 0, stage = 0; key < sizes.positions; key += kStageKeys, stage ^= 1) {
    begin_copy<T, size>(stages[stage ^ 1], first + sizes.channels, key + kStageKeys, sizes);
    cuda::wait_for_copies<1>();
    __syncthreads();
    attend_to_stage(softmax, queries, stages[stage], sizes.positions - key, sizes.scale);
    __syncthreads();
  }
  T* result = output + (first_row + query) * sizes.channels + head * size;
  store_values(result, softmax, 0, t, query < sizes.positions);
  store_values(result + 8 * sizes.channels, softmax, 1, t, query + 8 < sizes.positions);
}

}  // namespace cardiacseg::ops
