#include "pipeline/preprocess.h"

#include "ops/preprocess.h"

namespace cardiacseg {

ops::Pixels pixels_of(const CineView& cine, std::int64_t first, std::int64_t count) {
  const auto& [frame_step, slice_step, row_step, column_step] = cine.strides;
  return {.data = static_cast<const std::byte*>(cine.data) + first * frame_step,
          .type = cine.type,
          .stacks = count,
          .slices = cine.shape.slices,
          .rows = cine.shape.rows,
          .columns = cine.shape.columns,
          .stack_step = frame_step,
          .slice_step = slice_step,
          .row_step = row_step,
          .column_step = column_step};
}

Resampling::Resampling(const CineView& cine, double target)
    : rows_(ops::resample_taps(cine.shape.rows, cine.spacing.row, target)),
      columns_(ops::resample_taps(cine.shape.columns, cine.spacing.column, target)),
      grid_{cine.shape.slices, rows_.outputs, columns_.outputs} {}

void Resampling::run(const ops::Pixels& stacks, std::span<const ops::IntensityRange> ranges,
                     std::span<const ops::CropOrigin> origins, const Grid& crop, int threads,
                     std::span<float> output) const {
  const ops::PreprocessRules rules{rows_, columns_, crop.rows, crop.columns};
  ops::preprocess(stacks, rules, ranges, origins, threads, output);
}

}  // namespace cardiacseg
