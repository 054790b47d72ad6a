#pragma once

#include <cstdint>

namespace cardiacseg::ops {

/// What the kernels need of the shape, and log2(e) / sqrt(size of a head).
struct AttentionSizes {
  int positions;
  int channels;
  int heads;
  float scale;
};

/// First element of a head's query in row `row` of `qkv`; its key lies `channels` elements further, its value twice
/// that.
template <class T>
__device__ __forceinline__ const T* query_of(const T* qkv, std::int64_t row, const AttentionSizes& sizes, int head,
                                             int size) {
  return qkv + row * 3 * sizes.channels + head * size;
}

}  // namespace cardiacseg::ops
