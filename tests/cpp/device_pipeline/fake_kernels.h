#pragma once

#include <cstdint>

#include "ops/device.h"
#include "ops/exponential.h"

namespace cardiacseg::test {

/// What a fake network computes, for each slice of all stacks: pointwise maps, and presence from their means.
enum class FakeStage {
  locate,  ///< heart = sigmoid(12 x - 6)
  seg,     ///< logits that are highest where the intensity is next to a label's center; presence from the mean
  ref,     ///< each probability scaled and shifted by label; presence from the probabilities' means
};

struct FakeTask {
  FakeStage stage;
  std::int64_t slices;  ///< of all stacks
  std::int64_t pixels;  ///< of a slice
  float added;          ///< to the logits
  float background;     ///< to those of label 0, beside it
};

CARDIACSEG_HOST_DEVICE inline float fake_sigmoid(float x) {
  const float e = ops::exp_of_nonpositive(x < 0 ? x : -x);
  return (x < 0 ? e : 1.0F) / (1.0F + e);
}

/// The probabilities of a pixel's four logits.
CARDIACSEG_HOST_DEVICE inline void fake_softmax(const float* logits, std::int64_t pixels, float (&maps)[4]) {
  float largest = logits[0];
  for (int k = 1; k < 4; ++k) largest = logits[k * pixels] > largest ? logits[k * pixels] : largest;
  float sum = 0;
  for (int k = 0; k < 4; ++k) {
    maps[k] = ops::exp_of_nonpositive(logits[k * pixels] - largest);
    sum += maps[k];
  }
  for (float& map : maps) map /= sum;
}

/// Number `index` of the pixels of all slices.
CARDIACSEG_HOST_DEVICE inline void fake_pixel(const FakeTask& task, const float* input, float* output,
                                              std::int64_t index) {
  const float seg_weight[4] = {9, 24, 36, 51};
  const float seg_bias[4] = {-0.675F, -4.8F, -10.8F, -21.675F};
  const float ref_weight[4] = {7, 5, 6, 8};
  const float ref_bias[4] = {0.3F, 0.8F, 0, -0.5F};
  if (task.stage == FakeStage::locate) {
    output[index] = fake_sigmoid(12 * input[index] - 6);
    return;
  }
  const std::int64_t first = index / task.pixels * 4 * task.pixels + index % task.pixels;
  float maps[4] = {};
  if (task.stage == FakeStage::ref) fake_softmax(input + first, task.pixels, maps);
  for (int k = 0; k < 4; ++k) {
    const float value = task.stage == FakeStage::seg ? input[index] * seg_weight[k] + seg_bias[k]
                                                     : maps[k] * ref_weight[k] + ref_bias[k];
    output[first + k * task.pixels] = value + task.added + (k == 0 ? task.background : 0);
  }
}

/// The three presences of a slice.
CARDIACSEG_HOST_DEVICE inline void fake_presence(const FakeTask& task, const float* input, float* presence,
                                                 std::int64_t slice) {
  const float seg[3][2] = {{9, -4}, {-9, 4.5F}, {4, -2}};
  const float ref[3][5] = {{0, 30, 0, -9, -4}, {0, 0, -20, 0, 4}, {0, 5, 0, 30, -6}};
  const bool first = task.stage == FakeStage::seg;
  float means[4] = {};
  for (std::int64_t pixel = 0; pixel < task.pixels; ++pixel) {
    float maps[4] = {};
    if (first) {
      maps[0] = input[slice * task.pixels + pixel];
    } else {
      fake_softmax(input + slice * 4 * task.pixels + pixel, task.pixels, maps);
    }
    for (int k = 0; k < 4; ++k) means[k] += maps[k];
  }
  for (float& mean : means) mean /= static_cast<float>(task.pixels);
  for (int k = 0; k < 3; ++k) {
    float sum = first ? seg[k][1] : ref[k][4];
    for (int label = 0; label < 4; ++label)
      sum += means[label] * (first ? (label == 0 ? seg[k][0] : 0) : ref[k][label]);
    presence[slice * 3 + k] = fake_sigmoid(sum);
  }
}

/// Enqueues the network on arrays in device memory; `presence` is nullptr if it gives none.
void enqueue_fake_network(const FakeTask& task, const float* input, float* output, float* presence,
                          ops::DeviceStream stream);

}  // namespace cardiacseg::test
