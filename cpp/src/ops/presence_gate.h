#pragma once

#include <array>
#include <cstddef>
#include <span>

namespace cardiacseg::ops {

/// Whether RV, MYO and LV may be shown in a slice.
using Gate = std::array<bool, 3>;

/// The gate of one slice (section 2.3 of Chen et al. 2023): open where the presence, `[slices, 3]`, is above
/// `threshold`. All open where `presence` is empty.
inline Gate presence_gate(std::span<const float> presence, std::size_t slice, float threshold) {
  Gate open{true, true, true};
  if (presence.empty()) return open;
  for (std::size_t k = 0; k < open.size(); ++k) open[k] = presence[slice * open.size() + k] > threshold;
  return open;
}

}  // namespace cardiacseg::ops
