#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>

#include "ops/device.h"
#include "ops/require.h"

namespace cardiacseg::ops {

/// Probability maps `[stacks, slices, padded_rows, padded_columns]`, of which a grid lies in the upper left corner and
/// the rest is not looked at.
struct HeartMaps {
  std::int64_t stacks;
  std::int64_t slices;  ///< of one stack
  std::int64_t padded_rows;
  std::int64_t padded_columns;
  std::int64_t rows;  ///< of the grid
  std::int64_t columns;

  CARDIACSEG_HOST_DEVICE std::int64_t padded_plane() const { return padded_rows * padded_columns; }
};

/// The model's numbers.
struct HeartLocalizationRules {
  float threshold;         ///< a probability counts from here on
  std::int64_t window;     ///< side, in the map's pixels, of the box that is to hold the heart
  double ratio;            ///< pixel size of the map over that of the crop
  std::int64_t crop_rows;  ///< of the crop that is to lie round the heart, in its own pixels
  std::int64_t crop_columns;
};

/// Throws std::invalid_argument unless the start of a crop along one axis can be computed and held in 32 bits.
inline void require_crop_axis(std::int64_t pixels, double ratio, std::int64_t crop) {
  element_count("crop of heart_localization", {crop});
  const double reach = (static_cast<double>(pixels) + 1) * ratio + static_cast<double>(crop) + 1;
  if (ratio > 0 && reach < std::numeric_limits<std::int32_t>::max()) return;
  throw std::invalid_argument(
      "ratio of heart_localization: expected one above 0 that leaves fewer than 2^31 pixels, got " +
      std::to_string(ratio) + " for " + std::to_string(pixels) + " pixels and a crop of " + std::to_string(crop));
}

/// Throws std::invalid_argument if a number is invalid, or if the sums of a box might not fit in 64 bits.
inline void require_heart_localization(const HeartMaps& maps, const HeartLocalizationRules& rules) {
  element_count("maps of heart_localization", {maps.stacks, maps.slices, maps.padded_rows, maps.padded_columns});
  element_count("grid of heart_localization", {maps.rows, maps.columns});
  element_count("window of heart_localization", {rules.window});
  if (maps.rows * maps.columns >= 1LL << 30) {
    throw std::invalid_argument("grid of heart_localization: expected fewer than 2^30 pixels, got " +
                                std::to_string(maps.rows) + " x " + std::to_string(maps.columns));
  }
  if (maps.rows > maps.padded_rows || maps.columns > maps.padded_columns) {
    throw std::invalid_argument("grid of heart_localization: expected at most the map's " +
                                std::to_string(maps.padded_rows) + " x " + std::to_string(maps.padded_columns) +
                                " pixels, got " + std::to_string(maps.rows) + " x " + std::to_string(maps.columns));
  }
  require_crop_axis(maps.rows, rules.ratio, rules.crop_rows);
  require_crop_axis(maps.columns, rules.ratio, rules.crop_columns);
  const auto rows = static_cast<double>(std::min(rules.window, maps.rows));
  const auto columns = static_cast<double>(std::min(rules.window, maps.columns));
  if (static_cast<double>(maps.slices) * rows * columns * std::max(rows, columns) < 0x1p40) return;
  throw std::invalid_argument(
      "window of heart_localization: expected fewer than 2^40 voxels times its longer side, got " +
      std::to_string(maps.slices) + " slices and a window of " + std::to_string(rules.window));
}

}  // namespace cardiacseg::ops
