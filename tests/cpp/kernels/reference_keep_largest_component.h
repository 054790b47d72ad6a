#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <vector>

/// keep_largest_component in plain loops, as its header words it: one slice, pixel lists, no box.
namespace cardiacseg::test {

using Labels = std::vector<std::uint8_t>;
using Region = std::vector<std::int64_t>;

struct Plane {
  std::int64_t rows;
  std::int64_t columns;
};

/// Calls `visit(neighbor)` for each neighbor inside the slice; gives whether there are any outside.
template <class Visit>
bool reference_neighbors(const Plane& plane, std::int64_t pixel, bool corners, const Visit& visit) {
  bool at_rim = false;
  for (std::int64_t down = -1; down <= 1; ++down) {
    for (std::int64_t right = -1; right <= 1; ++right) {
      if ((down == 0 && right == 0) || (!corners && down != 0 && right != 0)) continue;
      const std::int64_t row = pixel / plane.columns + down;
      const std::int64_t column = pixel % plane.columns + right;
      if (row < 0 || row >= plane.rows || column < 0 || column >= plane.columns) {
        at_rim = true;
      } else {
        visit(static_cast<std::size_t>(row * plane.columns + column));
      }
    }
  }
  return at_rim;
}

/// The regions of the pixels with `label`, in C order of their first pixels.
inline std::vector<Region> reference_regions(std::span<const std::uint8_t> slice, const Plane& plane,
                                             std::uint8_t label, bool corners) {
  std::vector<Region> regions;
  std::vector<bool> seen(slice.size(), false);
  for (std::size_t first = 0; first < slice.size(); ++first) {
    if (slice[first] != label || seen[first]) continue;
    seen[first] = true;
    Region region{static_cast<std::int64_t>(first)};
    for (std::size_t next = 0; next < region.size(); ++next) {
      reference_neighbors(plane, region[next], corners, [&](std::size_t pixel) {
        if (slice[pixel] != label || seen[pixel]) return;
        seen[pixel] = true;
        region.push_back(static_cast<std::int64_t>(pixel));
      });
    }
    regions.push_back(region);
  }
  return regions;
}

inline void reference_set(std::span<std::uint8_t> slice, const Region& region, std::uint8_t label) {
  for (const std::int64_t pixel : region) slice[static_cast<std::size_t>(pixel)] = label;
}

inline void reference_keep_largest(std::span<std::uint8_t> slice, const Plane& plane) {
  for (std::uint8_t label = 1; label < 4; ++label) {
    const std::vector<Region> regions = reference_regions(slice, plane, label, true);
    std::size_t largest = 0;
    for (std::size_t k = 1; k < regions.size(); ++k)
      largest = regions[k].size() > regions[largest].size() ? k : largest;
    for (std::size_t k = 0; k < regions.size(); ++k) {
      if (k != largest) reference_set(slice, regions[k], 0);
    }
  }
}

inline void reference_fill_holes(std::span<std::uint8_t> slice, const Plane& plane) {
  for (const Region& region : reference_regions(slice, plane, 0, false)) {
    std::array<std::int64_t, 4> border{};
    bool at_rim = false;
    for (const std::int64_t pixel : region) {
      at_rim |= reference_neighbors(plane, pixel, false, [&](std::size_t neighbor) { ++border[slice[neighbor]]; });
    }
    if (at_rim) continue;
    const auto most = std::max_element(border.begin() + 1, border.end());  // the first of equal ones
    reference_set(slice, region, static_cast<std::uint8_t>(most - border.begin()));
  }
}

/// Of all slices; the labels that come out.
inline Labels reference_keep_largest_component(Labels labels, const Plane& plane) {
  const auto size = static_cast<std::size_t>(plane.rows * plane.columns);
  for (std::size_t first = 0; first < labels.size(); first += size) {
    const std::span<std::uint8_t> slice = std::span(labels).subspan(first, size);
    reference_keep_largest(slice, plane);
    reference_fill_holes(slice, plane);
  }
  return labels;
}

}  // namespace cardiacseg::test
