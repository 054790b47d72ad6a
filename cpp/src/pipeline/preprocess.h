#pragma once

#include <array>
#include <span>
#include <vector>

#include "cardiacseg/views.h"
#include "ops/normalize.h"
#include "pipeline/grid.h"

namespace cardiacseg {

/// The grid of a stack of `shape` after resampling its planes to `target` mm.
Grid resampled_grid(const CineShape& shape, const Spacing& spacing, double target);

/// One stack, read as float32, and the intensities that become 0 and 1.
class SourceStack {
 public:
  explicit SourceStack(const CineView& cine);

  /// Takes over `frame` of the cine and finds its `percentiles`.
  void read(std::int64_t frame, const std::array<double, 2>& percentiles);

  /// Fills `output`, of `resampled_grid`'s shape, with the stack at `target` mm, its intensities from 0 to 1.
  void resample_to(double target, std::span<float> output) const;

 private:
  CineView cine_;
  std::vector<float> values_;
  ops::IntensityRange range_{0.0F, 1.0F};
};

}  // namespace cardiacseg
