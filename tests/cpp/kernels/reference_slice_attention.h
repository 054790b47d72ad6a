#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "ops/exponential.h"
#include "ops/slice_attention.h"

/// Slice attention as its contract says it, loop by loop, in several arithmetics.
namespace cardiacseg::test {

/// Tokens, by their rows, that attend over each other.
using Rows = std::vector<std::size_t>;

/// The groups of inter-slice attention, or without `cu_slices` those of intra-slice attention.
inline std::vector<Rows> groups_of(const ops::AttentionShape& shape, const std::vector<std::int32_t>& cu_slices) {
  const auto positions = static_cast<std::size_t>(shape.positions);
  std::vector<Rows> groups;
  if (cu_slices.empty()) {
    for (std::size_t slice = 0; slice < static_cast<std::size_t>(shape.slices); ++slice) {
      Rows rows;
      for (std::size_t position = 0; position < positions; ++position) rows.push_back(slice * positions + position);
      groups.push_back(rows);
    }
    return groups;
  }
  for (std::size_t stack = 0; stack + 1 < cu_slices.size(); ++stack) {
    for (std::size_t position = 0; position < positions; ++position) {
      Rows rows;
      for (std::int32_t slice = cu_slices[stack]; slice < cu_slices[stack + 1]; ++slice) {
        rows.push_back(static_cast<std::size_t>(slice) * positions + position);
      }
      groups.push_back(rows);
    }
  }
  return groups;
}

/// Sums and the softmax in Number; `round` is applied to what a framework would store: scaled queries, scores,
/// weights and results.
template <class Number, class T, class Exponential, class Round>
std::vector<Number> reference_attention(const std::vector<T>& qkv, const ops::AttentionShape& shape,
                                        const std::vector<Rows>& groups, const Exponential& exponential,
                                        const Round& round, bool scale_first) {
  const auto channels = static_cast<std::size_t>(shape.channels);
  const std::size_t size = channels / static_cast<std::size_t>(shape.heads);
  const Number scale = 1 / std::sqrt(static_cast<Number>(size));
  std::vector<Number> output(qkv.size() / 3);
  const auto at = [&](std::size_t row, std::size_t column) {
    return static_cast<Number>(ops::to_float(qkv[row * 3 * channels + column]));
  };
  for (const Rows& rows : groups) {
    for (std::size_t column = 0; column < channels; column += size) {
      for (const std::size_t query : rows) {
        std::vector<Number> weights;
        for (const std::size_t key : rows) {
          Number score = 0;
          for (std::size_t d = 0; d < size; ++d) {
            const Number q = at(query, column + d);
            score += (scale_first ? round(q * scale) : q) * at(key, channels + column + d);
          }
          weights.push_back(round(score));
        }
        const Number largest = *std::max_element(weights.begin(), weights.end());
        Number total = 0;
        for (Number& weight : weights) {
          weight = exponential(scale_first ? weight - largest : (weight - largest) * scale);
          total += weight;
        }
        if (scale_first) {
          for (Number& weight : weights) weight = round(weight / total);
          total = 1;
        }
        for (std::size_t d = 0; d < size; ++d) {
          Number sum = 0;
          for (std::size_t j = 0; j < rows.size(); ++j) sum += weights[j] * at(rows[j], 2 * channels + column + d);
          output[query * channels + column + d] = round(sum / total);
        }
      }
    }
  }
  return output;
}

/// What the host version computes, before it is stored.
template <class T>
std::vector<float> reference_float(const std::vector<T>& qkv, const ops::AttentionShape& shape,
                                   const std::vector<Rows>& groups) {
  const auto same = [](float value) { return value; };
  return reference_attention<float>(qkv, shape, groups, ops::exp_of_nonpositive, same, false);
}

template <class T>
std::vector<double> reference_double(const std::vector<T>& qkv, const ops::AttentionShape& shape,
                                     const std::vector<Rows>& groups) {
  const auto exponential = [](double value) { return std::exp(value); };
  const auto same = [](double value) { return value; };
  return reference_attention<double>(qkv, shape, groups, exponential, same, false);
}

/// What a framework computes that stores each step as T: the measure of what error is to be expected of T.
template <class T>
std::vector<float> reference_in_steps(const std::vector<T>& qkv, const ops::AttentionShape& shape,
                                      const std::vector<Rows>& groups) {
  const auto exponential = [](float value) { return std::exp(value); };
  const auto round = [](float value) { return ops::to_float(ops::from_float<T>(value)); };
  return reference_attention<float>(qkv, shape, groups, exponential, round, true);
}

}  // namespace cardiacseg::test
