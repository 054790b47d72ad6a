#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>

#include "ops/require.h"

namespace cardiacseg::ops {

/// The model's numbers.
struct FusionRules {
  float threshold;           ///< a structure is shown if its presence is above this
  float temperature = 1.0F;  ///< above 0; divides the logits
};

/// The original grid and the crops of the network's grid, the same for every stack.
struct FusionGeometry {
  std::int64_t slices;  ///< of one stack
  std::int64_t rows;    ///< of the original grid
  std::int64_t columns;
  double row_spacing;  ///< mm, of the original grid
  double column_spacing;
  double target;  ///< mm, of the network's grid, both axes
  std::int64_t crop_rows;
  std::int64_t crop_columns;
};

/// Throws std::invalid_argument unless a plane's pixels can be counted in 32 bits.
inline void require_fusion_plane(const char* what, std::int64_t rows, std::int64_t columns) {
  if (element_count(what, {rows, columns}) <= std::numeric_limits<std::int32_t>::max()) return;
  throw std::invalid_argument(std::string(what) + ": expected fewer than 2^31 pixels in a slice, got " +
                              std::to_string(rows) + " x " + std::to_string(columns));
}

/// The same for the network's grid along one axis.
inline void require_fusion_axis(std::int64_t voxels, double spacing, double target) {
  require_spacing(spacing, target);
  if (static_cast<double>(voxels) * (spacing / target) < std::numeric_limits<std::int32_t>::max()) return;
  throw std::invalid_argument(
      "pixel sizes of mask_fusion: expected fewer than 2^31 pixels of the network along an axis, " +
      std::to_string(voxels) + " of " + std::to_string(spacing) + " mm are more at " + std::to_string(target) + " mm");
}

/// Throws std::invalid_argument if a number of the model or of the grids is invalid.
inline void require_fusion(const FusionRules& rules, const FusionGeometry& geometry) {
  element_count("slices of mask_fusion", {geometry.slices});
  require_fusion_plane("grid of mask_fusion", geometry.rows, geometry.columns);
  require_fusion_plane("crop of mask_fusion", geometry.crop_rows, geometry.crop_columns);
  require_fusion_axis(geometry.rows, geometry.row_spacing, geometry.target);
  require_fusion_axis(geometry.columns, geometry.column_spacing, geometry.target);
  if (rules.temperature > 0 && std::isfinite(rules.temperature)) return;
  throw std::invalid_argument("temperature of mask_fusion: expected a finite number above 0, got " +
                              std::to_string(rules.temperature));
}

}  // namespace cardiacseg::ops
