#pragma once

#include <cstdint>
#include <type_traits>

#include "cuda/warp.h"
#include "ops/scalar.h"

namespace cardiacseg::ops {

/// What the kernels need of the shape, and log2(e) / sqrt(size of a head).
struct AttentionSizes {
  int positions;
  int channels;
  int heads;
  float scale;
};

/// The name that warp-wide instructions know T by.
template <class T>
constexpr cuda::Format kFormat = std::is_same<T, Half>::value ? cuda::Format::half : cuda::Format::bfloat16;

/// First element of a head's query in row `row` of `qkv`; its key lies `channels` elements further, its value twice
/// that.
template <class T>
__device__ __forceinline__ const T* query_of(const T* qkv, std::int64_t row, const AttentionSizes& sizes, int head,
                                             int size) {
  return qkv + row * 3 * sizes.channels + head * size;
}

}  // namespace cardiacseg::ops
