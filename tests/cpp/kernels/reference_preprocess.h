#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "images.h"
#include "ops/crop.h"
#include "ops/intensity_range.h"

namespace cardiacseg::test {

struct Plane {
  std::int64_t rows;
  std::int64_t columns;
  std::vector<float> values;

  float& at(std::int64_t row, std::int64_t column) { return values[static_cast<std::size_t>(row * columns + column)]; }
};

/// One output pixel of an axis: `value(j)` is input pixel j. The weights are computed in double, the sum in float.
template <class Value>
float reference_resampled(std::int64_t output, std::int64_t length, double scale, const Value& value) {
  const double center = (static_cast<double>(output) + 0.5) * scale;
  const double radius = std::max(scale, 1.0);
  const auto share = [&](std::int64_t pixel) {
    return 1 - std::abs(static_cast<double>(pixel) + 0.5 - center) / radius;
  };
  const auto under = [&](std::int64_t pixel) {
    return static_cast<double>(pixel) > center - radius - 0.5 && static_cast<double>(pixel) < center + radius - 0.5;
  };
  double sum = 0;
  for (std::int64_t pixel = 0; pixel < length; ++pixel) sum += under(pixel) ? share(pixel) : 0;
  float result = 0;
  for (std::int64_t pixel = 0; pixel < length; ++pixel) {
    if (under(pixel)) result += static_cast<float>(share(pixel) / sum) * value(pixel);
  }
  return result;
}

inline std::int64_t reference_length(std::int64_t length, double spacing, double target) {
  return std::max<std::int64_t>(1, std::lrint(static_cast<double>(length) * (spacing / target)));
}

/// The whole plane, first along the rows, then along the columns.
inline Plane reference_resampled(Plane plane, double row_spacing, double column_spacing, double target) {
  const std::int64_t columns = reference_length(plane.columns, column_spacing, target);
  Plane narrow{plane.rows, columns, std::vector<float>(static_cast<std::size_t>(plane.rows * columns))};
  for (std::int64_t row = 0; row < plane.rows; ++row) {
    for (std::int64_t column = 0; column < columns; ++column) {
      narrow.at(row, column) = reference_resampled(column, plane.columns, target / column_spacing,
                                                   [&](std::int64_t from) { return plane.at(row, from); });
    }
  }
  const std::int64_t rows = reference_length(plane.rows, row_spacing, target);
  Plane result{rows, columns, std::vector<float>(static_cast<std::size_t>(rows * columns))};
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t column = 0; column < columns; ++column) {
      result.at(row, column) = reference_resampled(row, plane.rows, target / row_spacing,
                                                   [&](std::int64_t from) { return narrow.at(from, column); });
    }
  }
  return result;
}

/// (v - low) / (high - low) in double, clipped to 0..1; 0 if the range has no width. What preprocess gives, in
/// float, differs by some units in the last place.
inline double reference_normalized(double value, const ops::IntensityRange& range) {
  if (range.low == range.high) return 0;
  const double low = range.low;
  return std::clamp((value - low) / (static_cast<double>(range.high) - low), 0.0, 1.0);
}

inline Plane reference_crop(Plane plane, const ops::CropOrigin& origin, std::int64_t rows, std::int64_t columns) {
  Plane crop{rows, columns, std::vector<float>(static_cast<std::size_t>(rows * columns))};
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t column = 0; column < columns; ++column) {
      const std::int64_t from_row = origin.row + row;
      const std::int64_t from_column = origin.column + column;
      const bool inside = from_row >= 0 && from_row < plane.rows && from_column >= 0 && from_column < plane.columns;
      crop.at(row, column) = inside ? plane.at(from_row, from_column) : 0.0F;
    }
  }
  return crop;
}

}  // namespace cardiacseg::test
