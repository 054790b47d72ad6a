#include <algorithm>
#include <vector>

#include "ops/heart_localization.h"
#include "ops/heart_localization_common.h"

namespace cardiacseg::ops {
namespace {

using Masses = std::vector<HeartMass>;

/// The summed-area table of one stack, `[rows + 1, columns + 1]`, whose first row and column stay 0.
void sum_area(const float* stack, const HeartMaps& maps, float threshold, Masses& table) {
  const std::int64_t width = maps.columns + 1;
  std::fill(table.begin(), table.end(), HeartMass{0});
  for (std::int64_t line = 0; line < maps.slices * maps.rows; ++line) {
    const float* from = stack + line / maps.rows * maps.padded_plane() + line % maps.rows * maps.padded_columns;
    HeartMass* sums = &table[static_cast<std::size_t>((line % maps.rows + 1) * width + 1)];
    for (std::int64_t column = 0; column < maps.columns; ++column) sums[column] += heart_mass(from[column], threshold);
  }
  for (std::int64_t row = 1; row <= maps.rows; ++row) {
    HeartMass* sums = &table[static_cast<std::size_t>(row * width)];
    for (std::int64_t column = 1; column <= maps.columns; ++column) sums[column] += sums[column - 1];
    for (std::int64_t column = 1; column <= maps.columns; ++column) sums[column] += sums[column - width];
  }
}

HeartBox heaviest_box(const SummedArea& area, const HeartMaps& maps, std::int64_t window) {
  HeartBox box = first_box(maps, window);
  HeartBox best = box;
  HeartMass most = 0;
  for (box.top = 0; box.bottom() <= maps.rows; ++box.top) {
    for (box.left = 0; box.right() <= maps.columns; ++box.left) {
      const HeartMass mass = area.box(box.top, box.left, box.bottom(), box.right());
      if (mass <= most) continue;
      most = mass;
      best = box;
    }
  }
  return best;
}

HeartMoments moments_of(const SummedArea& area, const HeartBox& box) {
  HeartMoments moments{mass_from_row(area, box, 0), 0, 0};
  for (std::int32_t row = 1; row < box.rows; ++row) moments.rows += mass_from_row(area, box, row);
  for (std::int32_t column = 1; column < box.columns; ++column) moments.columns += mass_from_column(area, box, column);
  return moments;
}

}  // namespace

void heart_localization(std::span<const float> heart, const HeartMaps& maps, const HeartLocalizationRules& rules,
                        std::span<CropOrigin> origins) {
  require_heart_localization(maps, rules);
  require_size("maps of heart_localization", heart.size(),
               {maps.stacks, maps.slices, maps.padded_rows, maps.padded_columns});
  require_size("origins of heart_localization", origins.size(), {maps.stacks});
  Masses table(element_count("grid of heart_localization", {maps.rows + 1, maps.columns + 1}));
  const SummedArea area{table.data(), maps.columns + 1};
  for (std::int64_t stack = 0; stack < maps.stacks; ++stack) {
    sum_area(heart.data() + stack * maps.slices * maps.padded_plane(), maps, rules.threshold, table);
    const HeartBox box = heaviest_box(area, maps, rules.window);
    origins[static_cast<std::size_t>(stack)] = heart_crop(maps, rules, box, moments_of(area, box));
  }
}

}  // namespace cardiacseg::ops
