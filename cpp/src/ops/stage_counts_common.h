#pragma once

#include "ops/device.h"
#include "ops/presence_gate.h"

namespace cardiacseg::ops {

/// Label of the largest of a pixel's four logits, those of closed structures left out; the lowest wins a tie.
CARDIACSEG_HOST_DEVICE inline int best_open_label(const Gate& gate, float background, float rv, float myo, float lv) {
  int best = 0;
  float largest = background;
  if (gate[0] && rv > largest) {
    best = 1;
    largest = rv;
  }
  if (gate[1] && myo > largest) {
    best = 2;
    largest = myo;
  }
  return gate[2] && lv > largest ? 3 : best;
}

}  // namespace cardiacseg::ops
