#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <numbers>
#include <vector>

#include "cardiacseg/views.h"

namespace cardiacseg::test {

inline double radians(double degrees) { return degrees * std::numbers::pi / 180; }

/// Degrees from `from` to `angle`, turning with growing angles (1) or against (-1), from 0 to below 360.
inline double degrees_past(double from, double angle, int turn) {
  const double turned = std::fmod(turn * (angle - from), 360);
  return turned < 0 ? turned + 360 : turned;
}

/// One slice of a heart whose left ventricle's center is at (row, column) in mm; angles are in degrees from the
/// columns' direction towards that of the rows.
struct DrawnSlice {
  double row_mm = 0;
  double column_mm = 0;
  std::function<double(double)> inner_mm;  ///< radius of the cavity at an angle; 0: no left ventricle
  std::function<double(double)> outer_mm;  ///< radius of the myocardium
  double rv_first = 0;                     ///< the right ventricle lies beside the angles from here on
  double rv_degrees = 0;
  double open_degrees = 0;  ///< of the myocardium, missing from angle 0 on
};

/// Appends the slice's labels; pixels have their centres at multiples of the spacing.
inline void draw(std::vector<std::uint8_t>& labels, const CineShape& shape, const Spacing& spacing,
                 const DrawnSlice& slice) {
  for (std::int64_t row = 0; row < shape.rows; ++row) {
    for (std::int64_t column = 0; column < shape.columns; ++column) {
      const double down = static_cast<double>(row) * spacing.row - slice.row_mm;
      const double right = static_cast<double>(column) * spacing.column - slice.column_mm;
      const double radius = std::hypot(down, right);
      const double angle = std::atan2(down, right) * 180 / std::numbers::pi;
      const double outer = slice.outer_mm(angle);
      std::uint8_t label = 0;
      if (radius < outer && degrees_past(0, angle, 1) >= slice.open_degrees) label = 2;
      if (radius < slice.inner_mm(angle)) label = 3;
      if (radius >= outer && radius < outer + 12 && degrees_past(slice.rv_first, angle, 1) < slice.rv_degrees)
        label = 1;
      labels.push_back(label);
    }
  }
}

/// A radius that is the same all round.
inline std::function<double(double)> round(double radius_mm) {
  return [radius_mm](double) { return radius_mm; };
}

}  // namespace cardiacseg::test
