#include "pipeline/preprocess.h"

#include "ops/resample.h"
#include "pipeline/read_stack.h"

namespace cardiacseg {

Grid resampled_grid(const CineShape& shape, const Spacing& spacing, double target) {
  return {shape.slices, ops::resampled_length(shape.rows, spacing.row, target),
          ops::resampled_length(shape.columns, spacing.column, target)};
}

SourceStack::SourceStack(const CineView& cine)
    : cine_(cine), values_(static_cast<std::size_t>(cine.shape.voxels_per_frame())) {}

void SourceStack::read(std::int64_t frame, const std::array<double, 2>& percentiles) {
  read_stack(cine_, frame, values_);
  range_ = ops::percentile_range(values_, percentiles[0], percentiles[1]);
}

void SourceStack::resample_to(double target, std::span<float> output) const {
  const ops::ResampleGeometry geometry{.planes = cine_.shape.slices,
                                       .rows = cine_.shape.rows,
                                       .columns = cine_.shape.columns,
                                       .row_spacing = cine_.spacing.row,
                                       .column_spacing = cine_.spacing.column,
                                       .target = target};
  ops::resample(values_, geometry, output);
  ops::normalize(output, range_);
}

}  // namespace cardiacseg
