#pragma once

#include <cstdint>
#include <span>

#include "pipeline/grid.h"

namespace cardiacseg {

/// A place in a plane, in pixels; whole numbers are pixel centres.
struct PlanePoint {
  double row;
  double column;
};

/// Centre of the heart in `heart`, a probability map of the shape `padded`, of which `grid` lies in the upper left
/// corner and the rest is not looked at. The map is summed over slices where it is at least `threshold`; of all boxes
/// of `window` x `window` pixels the first with the largest sum is taken, and the centroid of what lies inside. Where
/// nothing reaches the threshold it is the middle of `grid`.
PlanePoint heart_centre(std::span<const float> heart, const Grid& padded, const Grid& grid, std::int64_t window,
                        float threshold);

/// Middle of a plane of `grid`.
PlanePoint middle(const Grid& grid);

/// First pixel of a crop of `crop_pixels` centred on `centre`. `ratio` is the pixel size in which `centre` is given,
/// over that of the crop.
std::int64_t crop_origin(double centre, double ratio, std::int64_t crop_pixels);

}  // namespace cardiacseg
