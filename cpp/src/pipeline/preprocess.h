#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "cardiacseg/views.h"
#include "ops/crop.h"
#include "ops/intensity_range.h"
#include "ops/pixels.h"
#include "ops/resample_taps.h"
#include "pipeline/grid.h"

namespace cardiacseg {

/// `count` frames of `cine` from frame `first` on, read in place.
ops::Pixels pixels_of(const CineView& cine, std::int64_t first, std::int64_t count);

/// How every plane of a cine comes to `target` mm.
class Resampling {
 public:
  Resampling(const CineView& cine, double target);

  /// Extent of one whole stack at the new spacing.
  const Grid& grid() const { return grid_; }

  /// Fills `output` with a crop of each stack: `[stacks, slices, crop.rows, crop.columns]`, intensities from 0 to 1.
  void run(const ops::Pixels& stacks, std::span<const ops::IntensityRange> ranges,
           std::span<const ops::CropOrigin> origins, const Grid& crop, int threads, std::span<float> output) const;

 private:
  ops::ResampleTaps rows_;
  ops::ResampleTaps columns_;
  Grid grid_;
};

}  // namespace cardiacseg
