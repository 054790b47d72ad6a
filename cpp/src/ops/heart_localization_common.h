#pragma once

#include <cstdint>

#include "ops/crop.h"
#include "ops/device.h"
#include "ops/heart_localization_geometry.h"

/// What host and device share of heart_localization, in whole numbers up to the centroid.
namespace cardiacseg::ops {

/// 2^-24ths.
using HeartMass = unsigned long long;

/// What a probability that reaches the threshold weighs, one that does not or a NaN nothing.
CARDIACSEG_HOST_DEVICE inline HeartMass heart_mass(float probability, float threshold) {
  if (!(probability >= threshold) || probability <= 0.0F) return 0;
  return probability < 1.0F ? static_cast<std::uint32_t>(probability * 16777216.0F) : 16777216U;
}

/// Sums of all that lies above and to the left: entry (row, column) of `[rows + 1, columns + 1]` is that of `row` rows
/// and `column` columns. The sums may wrap round; those of boxes, which fit, come out right all the same.
struct SummedArea {
  const HeartMass* sums;
  std::int64_t width;  ///< columns + 1

  CARDIACSEG_HOST_DEVICE HeartMass box(std::int32_t top, std::int32_t left, std::int32_t bottom,
                                       std::int32_t right) const {
    return sums[bottom * width + right] - sums[top * width + right] - sums[bottom * width + left] +
           sums[top * width + left];
  }
};

/// A box of the grid's pixels.
struct HeartBox {
  std::int32_t top;
  std::int32_t left;
  std::int32_t rows;
  std::int32_t columns;

  CARDIACSEG_HOST_DEVICE std::int32_t bottom() const { return top + rows; }
  CARDIACSEG_HOST_DEVICE std::int32_t right() const { return left + columns; }
};

/// Sums of a box: of masses, and of masses times the row and the column, counted from its first.
struct HeartMoments {
  HeartMass mass;
  HeartMass rows;
  HeartMass columns;
};

/// The mass from line `row` or `column` of the box on. A moment is the sum of these over all lines but the first: what
/// lies k lines from the first is in k of them.
CARDIACSEG_HOST_DEVICE inline HeartMass mass_from_row(const SummedArea& area, const HeartBox& box, std::int32_t row) {
  return area.box(box.top + row, box.left, box.bottom(), box.right());
}

CARDIACSEG_HOST_DEVICE inline HeartMass mass_from_column(const SummedArea& area, const HeartBox& box,
                                                         std::int32_t column) {
  return area.box(box.top, box.left + column, box.bottom(), box.right());
}

/// The first box of the size that is looked for.
CARDIACSEG_HOST_DEVICE inline HeartBox first_box(const HeartMaps& maps, std::int64_t window) {
  return {0, 0, static_cast<std::int32_t>(window < maps.rows ? window : maps.rows),
          static_cast<std::int32_t>(window < maps.columns ? window : maps.columns)};
}

/// Origin of the crop round what is in the box, or round the middle of the grid if the box is empty.
CARDIACSEG_HOST_DEVICE inline CropOrigin heart_crop(const HeartMaps& maps, const HeartLocalizationRules& rules,
                                                    const HeartBox& box, const HeartMoments& moments) {
  if (moments.mass == 0) {
    return {middle_start(maps.rows, rules.ratio, rules.crop_rows),
            middle_start(maps.columns, rules.ratio, rules.crop_columns)};
  }
  const auto mass = static_cast<double>(moments.mass);
  const double row = static_cast<double>(box.top) + static_cast<double>(moments.rows) / mass;
  const double column = static_cast<double>(box.left) + static_cast<double>(moments.columns) / mass;
  return {crop_start(row, rules.ratio, rules.crop_rows), crop_start(column, rules.ratio, rules.crop_columns)};
}

}  // namespace cardiacseg::ops
