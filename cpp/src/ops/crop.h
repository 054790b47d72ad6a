#pragma once

#include <cstdint>

namespace cardiacseg::ops {

/// First pixel of a crop on the network's whole grid. May be negative.
struct CropOrigin {
  std::int32_t row;
  std::int32_t column;
};

}  // namespace cardiacseg::ops
