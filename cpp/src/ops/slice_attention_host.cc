#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "ops/exponential.h"
#include "ops/parallel.h"
#include "ops/slice_attention.h"

namespace cardiacseg::ops {
namespace {

/// Tokens that attend over each other: `count` rows, `step` rows apart.
struct Group {
  std::size_t first;
  std::size_t step;
  std::size_t count;
};

/// Attention of one head within one group after the other; the working memory is used anew for each.
template <class T>
class HeadAttention {
 public:
  HeadAttention(const void* qkv, const AttentionShape& shape, void* output)
      : qkv_(static_cast<const T*>(qkv)),
        output_(static_cast<T*>(output)),
        channels_(static_cast<std::size_t>(shape.channels)),
        size_(channels_ / static_cast<std::size_t>(shape.heads)),
        scale_(1 / std::sqrt(static_cast<float>(size_))),
        query_(size_),
        sum_(size_) {}

  void run(const Group& group) {
    for (std::size_t head = 0; head * size_ < channels_; ++head) {
      load(group, head * size_);
      for (std::size_t token = 0; token < group.count; ++token) attend(group.first + token * group.step, head * size_);
    }
  }

 private:
  const T* row(std::size_t number) const { return qkv_ + number * 3 * channels_; }

  /// Keys go to `[size, tokens]`, so that the loop over tokens is the inner one, values to `[tokens, size]`.
  void load(const Group& group, std::size_t column) {
    keys_.resize(size_ * group.count);
    values_.resize(keys_.size());
    weights_.resize(group.count);
    for (std::size_t token = 0; token < group.count; ++token) {
      const T* key = row(group.first + token * group.step) + channels_ + column;
      for (std::size_t d = 0; d < size_; ++d) keys_[d * group.count + token] = to_float(key[d]);
      for (std::size_t d = 0; d < size_; ++d) values_[token * size_ + d] = to_float(key[channels_ + d]);
    }
  }

  void attend(std::size_t number, std::size_t column) {
    for (std::size_t d = 0; d < size_; ++d) query_[d] = to_float(row(number)[column + d]);
    weigh();
    float total = 0;
    for (const float weight : weights_) total += weight;
    std::fill(sum_.begin(), sum_.end(), 0.0F);
    for (std::size_t token = 0; token < weights_.size(); ++token) {
      const float weight = weights_[token];
      const float* value = &values_[token * size_];
      for (std::size_t d = 0; d < size_; ++d) sum_[d] += weight * value[d];
    }
    T* result = output_ + number * channels_ + column;
    for (std::size_t d = 0; d < size_; ++d) result[d] = from_float<T>(sum_[d] / total);
  }

  /// The weights of all tokens for this query, 1 for the heaviest.
  void weigh() {
    std::fill(weights_.begin(), weights_.end(), 0.0F);
    for (std::size_t d = 0; d < size_; ++d) {
      const float q = query_[d];
      const float* key = &keys_[d * weights_.size()];
      for (std::size_t token = 0; token < weights_.size(); ++token) weights_[token] += q * key[token];
    }
    const float largest = *std::max_element(weights_.begin(), weights_.end());
    for (float& weight : weights_) weight = exp_of_nonpositive((weight - largest) * scale_);
  }

  const T* qkv_;
  T* output_;
  std::size_t channels_;
  std::size_t size_;  ///< of a head
  float scale_;
  std::vector<float> query_;
  std::vector<float> sum_;
  std::vector<float> keys_;
  std::vector<float> values_;
  std::vector<float> weights_;
};

template <class T, class GroupOf>
void attend(const void* qkv, const AttentionShape& shape, std::int64_t groups, const GroupOf& group_of, void* output,
            int threads) {
  parallel_for(groups, threads, [&](std::int64_t begin, std::int64_t end) {
    HeadAttention<T> attention(qkv, shape, output);
    for (std::int64_t number = begin; number < end; ++number) attention.run(group_of(number));
  });
}

template <class GroupOf>
void attend(ScalarType type, const void* qkv, const AttentionShape& shape, std::int64_t groups, const GroupOf& group_of,
            void* output, int threads) {
  switch (type) {
    case ScalarType::float32:
      return attend<float>(qkv, shape, groups, group_of, output, threads);
    case ScalarType::float16:
      return attend<Half>(qkv, shape, groups, group_of, output, threads);
    case ScalarType::bfloat16:
      return attend<BFloat16>(qkv, shape, groups, group_of, output, threads);
  }
}

void require_cu_slices(const std::int32_t* cu_slices, const AttentionShape& shape) {
  const bool rises = std::is_sorted(cu_slices, cu_slices + shape.stacks + 1);
  if (rises && cu_slices[0] == 0 && cu_slices[shape.stacks] == shape.slices) return;
  throw std::invalid_argument("cu_slices of slice attention: expected numbers that rise from 0 to " +
                              std::to_string(shape.slices) + ", got " + std::to_string(cu_slices[0]) + " to " +
                              std::to_string(cu_slices[shape.stacks]) + (rises ? "" : ", not rising"));
}

}  // namespace

void inter_slice_attention(ScalarType type, const void* qkv, const std::int32_t* cu_slices, const AttentionShape& shape,
                           void* output, int threads) {
  require_attention_shape(shape);
  require_cu_slices(cu_slices, shape);
  const auto group_of = [&](std::int64_t number) {
    const std::int32_t* stack = cu_slices + number / shape.positions;
    return Group{static_cast<std::size_t>(stack[0] * shape.positions + number % shape.positions),
                 static_cast<std::size_t>(shape.positions), static_cast<std::size_t>(stack[1] - stack[0])};
  };
  attend(type, qkv, shape, shape.stacks * shape.positions, group_of, output, threads);
}

void intra_slice_attention(ScalarType type, const void* qkv, const AttentionShape& shape, void* output, int threads) {
  require_attention_shape(shape);
  const auto positions = static_cast<std::size_t>(shape.positions);
  const auto group_of = [=](std::int64_t slice) {
    return Group{static_cast<std::size_t>(slice) * positions, 1, positions};
  };
  attend(type, qkv, shape, shape.slices, group_of, output, threads);
}

}  // namespace cardiacseg::ops
