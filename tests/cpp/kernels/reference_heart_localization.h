#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "ops/crop.h"
#include "ops/heart_localization_geometry.h"

/// heart_localization in plain loops, as its header words it.
namespace cardiacseg::test {

using Masses = std::vector<std::uint64_t>;  ///< `[rows, columns]`, 2^-24ths

inline Masses reference_masses(const float* stack, const ops::HeartMaps& maps, float threshold) {
  Masses masses;
  for (std::int64_t row = 0; row < maps.rows; ++row) {
    for (std::int64_t column = 0; column < maps.columns; ++column) {
      std::uint64_t mass = 0;
      for (std::int64_t slice = 0; slice < maps.slices; ++slice) {
        const float value = stack[(slice * maps.padded_rows + row) * maps.padded_columns + column];
        const double probability = std::fmin(std::fmax(static_cast<double>(value), 0.0), 1.0);
        if (value >= threshold) mass += static_cast<std::uint64_t>(std::floor(std::ldexp(probability, 24)));
      }
      masses.push_back(mass);
    }
  }
  return masses;
}

/// Mass of a box, and its centroid.
struct ReferenceBox {
  std::uint64_t mass = 0;
  double row = 0;
  double column = 0;
};

inline ReferenceBox reference_box(const Masses& masses, const ops::HeartMaps& maps, std::int64_t top, std::int64_t left,
                                  std::int64_t window) {
  ReferenceBox box;
  std::uint64_t rows = 0;
  std::uint64_t columns = 0;
  for (std::int64_t row = top; row < std::min(top + window, maps.rows); ++row) {
    for (std::int64_t column = left; column < std::min(left + window, maps.columns); ++column) {
      const std::uint64_t mass = masses[static_cast<std::size_t>(row * maps.columns + column)];
      box.mass += mass;
      rows += mass * static_cast<std::uint64_t>(row - top);
      columns += mass * static_cast<std::uint64_t>(column - left);
    }
  }
  box.row = static_cast<double>(top) + static_cast<double>(rows) / static_cast<double>(box.mass);
  box.column = static_cast<double>(left) + static_cast<double>(columns) / static_cast<double>(box.mass);
  return box;
}

inline ops::CropOrigin reference_heart_localization(const float* stack, const ops::HeartMaps& maps,
                                                    const ops::HeartLocalizationRules& rules) {
  const Masses masses = reference_masses(stack, maps, rules.threshold);
  ReferenceBox best;
  for (std::int64_t top = 0; top == 0 || top + rules.window <= maps.rows; ++top) {
    for (std::int64_t left = 0; left == 0 || left + rules.window <= maps.columns; ++left) {
      const ReferenceBox box = reference_box(masses, maps, top, left, rules.window);
      if (box.mass > best.mass) best = box;
    }
  }
  if (best.mass == 0) {
    best.row = static_cast<double>(maps.rows - 1) / 2;
    best.column = static_cast<double>(maps.columns - 1) / 2;
  }
  return {ops::crop_start(best.row, rules.ratio, rules.crop_rows),
          ops::crop_start(best.column, rules.ratio, rules.crop_columns)};
}

}  // namespace cardiacseg::test
