#pragma once

#include <cstdint>

#include "ops/require.h"
#include "ops/scalar.h"

namespace cardiacseg::ops {

/// Sizes of the attention over the slices of several stacks (section 2.2 of Chen et al. 2023).
///
/// The token of slice s of stack b at position p is row (cu_slices[b] + s) * positions + p of `qkv`, `[slices *
/// positions, 3 * channels]`: query, key and value, each of them `heads` vectors of channels / heads elements. The same
/// row of the output, `[slices * positions, channels]`, is sum_j softmax_j(q . k_j / sqrt(channels / heads)) v_j.
struct AttentionShape {
  std::int64_t stacks;
  std::int64_t slices;     ///< of all stacks together
  std::int64_t positions;  ///< pixels of a feature map
  std::int64_t channels;
  std::int64_t heads;
};

/// Throws std::invalid_argument unless the sizes are positive, the channels a multiple of the heads, and the elements
/// can be counted.
inline void require_attention_shape(const AttentionShape& shape) {
  element_count("slice attention", {shape.stacks, shape.heads});
  element_count("qkv of slice attention", {shape.slices, shape.positions, 3, shape.channels});
  if (shape.channels % shape.heads == 0) return;
  throw std::invalid_argument("slice attention: expected channels that are a multiple of the heads, got " +
                              std::to_string(shape.channels) + " channels and " + std::to_string(shape.heads) +
                              " heads");
}

/// Inter-slice attention: j runs over the slices of the token's own stack, at its own position. `cu_slices`, `[stacks +
/// 1]`, rises from 0 to `slices`; a stack may have any number of slices, none too. `qkv` and `output` are of `type`;
/// sums and the softmax are in float32. `threads` is the most that are used, 0: all cores; the result does not depend
/// on it. Throws std::invalid_argument if the sizes do not fit each other.
void inter_slice_attention(ScalarType type, const void* qkv, const std::int32_t* cu_slices, const AttentionShape& shape,
                           void* output, int threads = 1);

/// Intra-slice attention: j runs over the positions of the token's own slice. `shape.stacks` has no bearing on it.
void intra_slice_attention(ScalarType type, const void* qkv, const AttentionShape& shape, void* output,
                           int threads = 1);

}  // namespace cardiacseg::ops
