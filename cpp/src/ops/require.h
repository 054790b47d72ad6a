#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <stdexcept>
#include <string>

namespace cardiacseg::ops {

/// Elements of an array with these extents. Throws std::invalid_argument if one is below 1 or the product overflows.
inline std::size_t element_count(const char* what, std::initializer_list<std::int64_t> extents) {
  std::int64_t count = 1;
  for (const std::int64_t extent : extents) {
    if (extent < 1 || extent > std::numeric_limits<std::int64_t>::max() / count) {
      throw std::invalid_argument(std::string(what) + ": expected extents of 1 or more that fit in memory, got " +
                                  std::to_string(extent));
    }
    count *= extent;
  }
  return static_cast<std::size_t>(count);
}

/// Throws std::invalid_argument unless `size` is the number of elements of an array with these extents.
inline void require_size(const char* what, std::size_t size, std::initializer_list<std::int64_t> extents) {
  const std::size_t expected = element_count(what, extents);
  if (size != expected) {
    throw std::invalid_argument(std::string(what) + ": expected " + std::to_string(expected) + " values, got " +
                                std::to_string(size));
  }
}

/// Throws std::invalid_argument unless both pixel sizes (mm) and their ratio are positive and finite.
inline void require_spacing(double spacing, double target) {
  const bool positive = spacing > 0 && target > 0 && std::isfinite(spacing) && std::isfinite(target);
  if (!positive || !std::isnormal(spacing / target) || !std::isnormal(target / spacing)) {
    throw std::invalid_argument("resampling: expected positive, finite pixel sizes in mm, got " +
                                std::to_string(spacing) + " and " + std::to_string(target));
  }
}

}  // namespace cardiacseg::ops
