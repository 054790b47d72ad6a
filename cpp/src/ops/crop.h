#pragma once

#include <cmath>
#include <cstdint>

#include "ops/device.h"

namespace cardiacseg::ops {

/// First pixel of a crop on the network's whole grid. May be negative.
struct CropOrigin {
  std::int32_t row;
  std::int32_t column;
};

/// First pixel of a crop of `crop_pixels` along an axis, centered on `center`, which is given in pixels of `ratio`
/// times the size of the crop's (whole numbers are pixel centers). Half a pixel is rounded up.
CARDIACSEG_HOST_DEVICE inline std::int32_t crop_start(double center, double ratio, std::int64_t crop_pixels) {
  const double start = (center + 0.5) * ratio - static_cast<double>(crop_pixels) / 2.0;
  return static_cast<std::int32_t>(std::floor(start + 0.5));
}

/// First pixel along an axis of a crop in the middle of `pixels`, otherwise as crop_start.
CARDIACSEG_HOST_DEVICE inline std::int32_t middle_start(std::int64_t pixels, double ratio, std::int64_t crop_pixels) {
  return crop_start(static_cast<double>(pixels - 1) / 2.0, ratio, crop_pixels);
}

}  // namespace cardiacseg::ops
