#pragma once

#include <cstddef>
#include <cstdint>

#include "ops/device.h"

namespace cardiacseg::ops {

/// Whether RV, MYO and LV may be shown in a slice.
struct Gate {
  bool open[3];

  CARDIACSEG_HOST_DEVICE bool operator[](std::size_t structure) const { return open[structure]; }
  CARDIACSEG_HOST_DEVICE float weight(std::size_t structure) const { return open[structure] ? 1.0F : 0.0F; }
  CARDIACSEG_HOST_DEVICE bool shut() const { return !open[0] && !open[1] && !open[2]; }
};

/// The gate of one slice (section 2.3 of Chen et al. 2023): open if the presence, `[slices, 3]`, is above
/// `threshold`. All open if `presence` is nullptr.
CARDIACSEG_HOST_DEVICE inline Gate presence_gate(const float* presence, std::int64_t slice, float threshold) {
  if (presence == nullptr) return {{true, true, true}};
  const float* of_slice = presence + slice * 3;
  return {{of_slice[0] > threshold, of_slice[1] > threshold, of_slice[2] > threshold}};
}

}  // namespace cardiacseg::ops
