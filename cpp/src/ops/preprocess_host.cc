#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "ops/parallel.h"
#include "ops/preprocess.h"
#include "ops/preprocess_common.h"
#include "ops/read_row.h"
#include "ops/require.h"

namespace cardiacseg::ops {
namespace {

constexpr std::int64_t kPiece = 1 << 17;  ///< pixels that are worth a thread

/// Pixels `begin` to `end` of a crop lie on the resampled grid; of the axis' input they need `inputs` from `first` on.
struct Inside {
  std::int64_t begin;
  std::int64_t end;
  std::int64_t first;
  std::int64_t inputs;
};

Inside inside(const ResampleTaps& taps, std::int64_t origin, std::int64_t count) {
  const std::int64_t begin = std::clamp<std::int64_t>(-origin, 0, count);
  const std::int64_t end = std::clamp<std::int64_t>(taps.outputs - origin, begin, count);
  if (begin == end) return {0, 0, 0, 0};
  const auto last = static_cast<std::size_t>(origin + end - 1);
  const std::int64_t first = taps.first[static_cast<std::size_t>(origin + begin)];
  return {begin, end, first, taps.first[last] + taps.count[last] - first};
}

/// One pixel of the crop's rows.
struct ColumnTap {
  std::size_t output;  ///< counted from the first inside the grid
  std::size_t first;   ///< input pixel, counted from the first that is needed
  std::size_t count;
  std::size_t weight;  ///< index of its first
};

/// A crop's columns.
struct Across {
  Inside range;
  std::vector<ColumnTap> taps;
  std::vector<float> weights;
};

/// The columns are sorted by the number of their weights, which the processor then foresees.
Across across(const ResampleTaps& columns, std::int64_t origin, std::int64_t count) {
  Across plan{inside(columns, origin, count), {}, {}};
  for (std::int64_t output = plan.range.begin; output < plan.range.end; ++output) {
    const auto index = static_cast<std::size_t>(origin + output);
    plan.taps.push_back({static_cast<std::size_t>(output - plan.range.begin),
                         static_cast<std::size_t>(columns.first[index] - plan.range.first),
                         static_cast<std::size_t>(columns.count[index]), 0});
  }
  std::stable_sort(plan.taps.begin(), plan.taps.end(),
                   [](const ColumnTap& a, const ColumnTap& b) { return a.count < b.count; });
  for (ColumnTap& tap : plan.taps) {
    const auto index = static_cast<std::size_t>(origin + plan.range.begin) + tap.output;
    tap.weight = plan.weights.size();
    for (std::size_t k = 0; k < tap.count; ++k) {
      plan.weights.push_back(columns.weights[k * static_cast<std::size_t>(columns.outputs) + index]);
    }
  }
  return plan;
}

void along_row(const float* row, const Across& columns, float* narrow) {
  for (const ColumnTap& tap : columns.taps) {
    const float* weights = &columns.weights[tap.weight];
    const float* from = row + tap.first;
    float sum = 0;
    for (std::size_t k = 0; k < tap.count; ++k) sum += weights[k] * from[k];
    narrow[tap.output] = sum;
  }
}

/// What is the same for all planes of a stack.
struct StackPlan {
  std::int64_t row_origin;
  Inside down;
  Across across;
  NormalizeRule rule;
};

struct Scratch {
  std::vector<float> row;     ///< pixels of one input row
  std::vector<float> narrow;  ///< `[inputs down, outputs across]`
};

void narrow_rows(const Pixels& pixels, std::int64_t stack, std::int64_t slice, const StackPlan& plan,
                 Scratch& scratch) {
  const Inside& range = plan.across.range;
  const std::span<float> row = std::span(scratch.row).first(static_cast<std::size_t>(range.inputs));
  for (std::int64_t index = 0; index < plan.down.inputs; ++index) {
    const unsigned char* at = pixels.row(stack, slice, plan.down.first + index);
    read_row(at + range.first * pixels.column_step, pixels.type, pixels.column_step, row);
    along_row(row.data(), plan.across, &scratch.narrow[static_cast<std::size_t>(index * (range.end - range.begin))]);
  }
}

/// One row of the crop, its pixels inside the grid.
void along_columns(const ResampleTaps& rows, std::size_t index, const StackPlan& plan, const float* narrow,
                   std::span<float> output) {
  const auto first = static_cast<std::size_t>(rows.first[index] - plan.down.first);
  for (std::size_t k = 0; k < static_cast<std::size_t>(rows.count[index]); ++k) {
    const float weight = rows.weights[k * static_cast<std::size_t>(rows.outputs) + index];
    const float* from = narrow + (first + k) * output.size();
    for (std::size_t column = 0; column < output.size(); ++column) output[column] += weight * from[column];
  }
  for (float& value : output) value = normalized(value, plan.rule);
}

void preprocess_plane(const PreprocessRules& rules, const StackPlan& plan, const Scratch& scratch,
                      std::span<float> output) {
  std::fill(output.begin(), output.end(), 0.0F);
  const Inside& range = plan.across.range;
  for (std::int64_t row = plan.down.begin; row < plan.down.end; ++row) {
    along_columns(rules.rows, static_cast<std::size_t>(plan.row_origin + row), plan, scratch.narrow.data(),
                  output.subspan(static_cast<std::size_t>(row * rules.crop_columns + range.begin),
                                 static_cast<std::size_t>(range.end - range.begin)));
  }
}

void require_range(const IntensityRange& range) {
  if (std::isfinite(range.low) && std::isfinite(range.high) && range.low <= range.high) return;
  throw std::invalid_argument("preprocess: expected a range of finite low <= high, got " + std::to_string(range.low) +
                              " and " + std::to_string(range.high));
}

void require_all(const Pixels& pixels, const PreprocessRules& rules, std::size_t ranges, std::size_t origins,
                 std::size_t output) {
  element_count("pixels of preprocess", {pixels.stacks, pixels.slices, pixels.rows, pixels.columns});
  if (rules.rows.inputs != pixels.rows || rules.columns.inputs != pixels.columns) {
    throw std::invalid_argument("preprocess: expected taps for " + std::to_string(pixels.rows) + " rows and " +
                                std::to_string(pixels.columns) + " columns, got them for " +
                                std::to_string(rules.rows.inputs) + " and " + std::to_string(rules.columns.inputs));
  }
  require_size("ranges of preprocess", ranges, {pixels.stacks});
  require_size("origins of preprocess", origins, {pixels.stacks});
  require_size("output of preprocess", output, {pixels.stacks, pixels.slices, rules.crop_rows, rules.crop_columns});
}

std::vector<StackPlan> stack_plans(const PreprocessRules& rules, std::span<const IntensityRange> ranges,
                                   std::span<const CropOrigin> origins) {
  std::vector<StackPlan> plans;
  for (std::size_t stack = 0; stack < ranges.size(); ++stack) {
    require_range(ranges[stack]);
    const CropOrigin& origin = origins[stack];
    plans.push_back({origin.row, inside(rules.rows, origin.row, rules.crop_rows),
                     across(rules.columns, origin.column, rules.crop_columns), normalize_rule(ranges[stack])});
  }
  return plans;
}

}  // namespace

void preprocess(const Pixels& pixels, const PreprocessRules& rules, std::span<const IntensityRange> ranges,
                std::span<const CropOrigin> origins, int threads, std::span<float> output) {
  require_all(pixels, rules, ranges.size(), origins.size(), output.size());
  const std::vector<StackPlan> plans = stack_plans(rules, ranges, origins);
  const std::int64_t planes = pixels.stacks * pixels.slices;
  const std::int64_t pieces = std::clamp<std::int64_t>(planes * pixels.rows * pixels.columns / kPiece, 1, planes);
  const std::int64_t parts = part_count(pieces, threads);
  const auto narrow = static_cast<std::size_t>(pixels.rows * std::min(rules.crop_columns, rules.columns.outputs));
  std::vector<Scratch> scratch(
      static_cast<std::size_t>(parts),
      {std::vector<float>(static_cast<std::size_t>(pixels.columns)), std::vector<float>(narrow)});
  const std::size_t size = output.size() / static_cast<std::size_t>(planes);
  parallel_for(parts, static_cast<int>(parts), [&](std::int64_t part, std::int64_t end) {
    for (; part < end; ++part) {
      Scratch& own = scratch[static_cast<std::size_t>(part)];
      for (std::int64_t plane = planes * part / parts; plane < planes * (part + 1) / parts; ++plane) {
        const StackPlan& plan = plans[static_cast<std::size_t>(plane / pixels.slices)];
        narrow_rows(pixels, plane / pixels.slices, plane % pixels.slices, plan, own);
        preprocess_plane(rules, plan, own, output.subspan(static_cast<std::size_t>(plane) * size, size));
      }
    }
  });
}

}  // namespace cardiacseg::ops
