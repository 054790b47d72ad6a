#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <vector>

#include "cardiacseg/labels.h"
#include "ops/mask_fusion.h"
#include "ops/presence_gate.h"
#include "ops/require.h"

namespace cardiacseg::ops {
namespace {

using Probabilities = std::array<float, kLabelCount>;

/// The crop's pixels on both sides of a voxel centre along one axis.
struct Neighbours {
  bool inside;  ///< the centre lies within the crop's pixels, rim included
  std::size_t lower;
  std::size_t upper;
  float upper_share;
};

Neighbours neighbours(double at, std::int64_t length) {
  const auto last = static_cast<double>(length - 1);
  if (at < -0.5 || at > last + 0.5) return {false, 0, 0, 0};
  const double clamped = std::clamp(at, 0.0, last);
  const auto lower = static_cast<std::size_t>(clamped);
  const std::size_t upper = std::min(lower + 1, static_cast<std::size_t>(length - 1));
  return {true, lower, upper, static_cast<float>(clamped - static_cast<double>(lower))};
}

/// Neighbours of each voxel of an axis in a crop of `count` pixels that starts at network pixel `first`.
std::vector<Neighbours> axis_neighbours(std::int64_t length, double ratio, std::int64_t first, std::int64_t count) {
  std::vector<Neighbours> axis;
  axis.reserve(static_cast<std::size_t>(length));
  for (std::int64_t i = 0; i < length; ++i) {
    axis.push_back(neighbours((static_cast<double>(i) + 0.5) * ratio - 0.5 - static_cast<double>(first), count));
  }
  return axis;
}

/// Softmax over the four planes of one slice's `[4, pixels]` logits, each divided by `temperature`.
void softmax(std::span<const float> logits, float temperature, std::vector<Probabilities>& probabilities) {
  const std::size_t pixels = probabilities.size();
  for (std::size_t pixel = 0; pixel < pixels; ++pixel) {
    Probabilities& p = probabilities[pixel];
    for (std::size_t label = 0; label < p.size(); ++label) p[label] = logits[label * pixels + pixel];
    const float largest = *std::max_element(p.begin(), p.end());
    float sum = 0;
    for (float& value : p) sum += value = std::exp((value - largest) / temperature);
    for (float& value : p) value /= sum;
  }
}

/// Label of the largest of the four probabilities, of which closed structures count as 0.
std::uint8_t best_label(const Probabilities& p, const Gate& open) {
  std::size_t best = 0;
  for (std::size_t label = 1; label < p.size(); ++label) {
    if (open[label - 1] && p[label] > p[best]) best = label;
  }
  return static_cast<std::uint8_t>(best);
}

Probabilities blend(const Probabilities& a, const Probabilities& b, float share_of_b) {
  Probabilities mixed;
  for (std::size_t label = 0; label < mixed.size(); ++label) {
    mixed[label] = a[label] * (1 - share_of_b) + b[label] * share_of_b;
  }
  return mixed;
}

/// The crop's rows above and below a row of voxels.
struct RowPair {
  const Probabilities* above;
  const Probabilities* below;
  float share_of_below;
};

Probabilities interpolate(const RowPair& rows, const Neighbours& across) {
  const Probabilities above = blend(rows.above[across.lower], rows.above[across.upper], across.upper_share);
  const Probabilities below = blend(rows.below[across.lower], rows.below[across.upper], across.upper_share);
  return blend(above, below, rows.share_of_below);
}

/// What is left of four probabilities after the gate, with sum 1.
Probabilities gated(Probabilities p, const Gate& open) {
  float sum = p[0];
  for (std::size_t k = 0; k < open.size(); ++k) sum += p[k + 1] = open[k] ? p[k + 1] : 0.0F;
  if (!(sum > 0)) return {1, 0, 0, 0};
  for (float& value : p) value /= sum;
  return p;
}

/// Where the results of one slice go; without `probabilities` those are not wanted.
struct SliceResult {
  std::uint8_t* labels;
  float* probabilities;
  std::size_t voxels;

  void set(std::size_t voxel, const Probabilities& p, const Gate& open) const {
    labels[voxel] = best_label(p, open);
    if (probabilities == nullptr) return;
    const Probabilities shares = gated(p, open);
    for (std::size_t label = 0; label < shares.size(); ++label) probabilities[label * voxels + voxel] = shares[label];
  }

  void clear() const {
    std::fill_n(labels, voxels, static_cast<std::uint8_t>(Label::background));
    if (probabilities == nullptr) return;
    std::fill_n(probabilities, voxels, 1.0F);
    std::fill_n(probabilities + voxels, (kLabelCount - 1) * voxels, 0.0F);
  }
};

/// The original grid's voxels in terms of the crop's pixels.
struct Mapping {
  std::vector<Neighbours> rows;
  std::vector<Neighbours> columns;
  std::size_t crop_columns;
};

Mapping map_voxels(const FusionGeometry& geometry) {
  const Window& window = geometry.window;
  return {axis_neighbours(geometry.rows, geometry.row_spacing / geometry.target, window.top, window.rows),
          axis_neighbours(geometry.columns, geometry.column_spacing / geometry.target, window.left, window.columns),
          static_cast<std::size_t>(window.columns)};
}

void fuse_slice(const std::vector<Probabilities>& crop, const Mapping& mapping, const Gate& open,
                const SliceResult& result) {
  const std::vector<Neighbours>& columns = mapping.columns;
  result.clear();
  for (std::size_t row = 0; row < mapping.rows.size(); ++row) {
    const Neighbours& down = mapping.rows[row];
    if (!down.inside) continue;
    const RowPair pair{&crop[down.lower * mapping.crop_columns], &crop[down.upper * mapping.crop_columns],
                       down.upper_share};
    for (std::size_t column = 0; column < columns.size(); ++column) {
      if (columns[column].inside) result.set(row * columns.size() + column, interpolate(pair, columns[column]), open);
    }
  }
}

void require_sizes(std::span<const float> logits, std::span<const float> presence, const FusionGeometry& geometry,
                   std::size_t labels, std::size_t probabilities) {
  require_spacing(geometry.row_spacing, geometry.target);
  require_spacing(geometry.column_spacing, geometry.target);
  require_size("logits of mask_fusion", logits.size(),
               {geometry.slices, kLabelCount, geometry.window.rows, geometry.window.columns});
  if (!presence.empty()) require_size("presence of mask_fusion", presence.size(), {geometry.slices, kStructureCount});
  require_size("labels of mask_fusion", labels, {geometry.slices, geometry.rows, geometry.columns});
  if (probabilities == 0) return;
  require_size("probabilities of mask_fusion", probabilities,
               {geometry.slices, kLabelCount, geometry.rows, geometry.columns});
}

void require_temperature(float temperature) {
  if (temperature > 0 && std::isfinite(temperature)) return;
  throw std::invalid_argument("temperature of mask_fusion: wanted a finite number above 0, got " +
                              std::to_string(temperature));
}

}  // namespace

void mask_fusion(std::span<const float> logits, std::span<const float> presence, const FusionRules& rules,
                 const FusionGeometry& geometry, std::span<std::uint8_t> labels, std::span<float> probabilities) {
  require_sizes(logits, presence, geometry, labels.size(), probabilities.size());
  require_temperature(rules.temperature);
  const Mapping mapping = map_voxels(geometry);
  const std::size_t voxels = mapping.rows.size() * mapping.columns.size();
  std::vector<Probabilities> crop(static_cast<std::size_t>(geometry.window.rows) * mapping.crop_columns);
  for (std::size_t slice = 0; slice < static_cast<std::size_t>(geometry.slices); ++slice) {
    softmax(logits.subspan(slice * kLabelCount * crop.size(), kLabelCount * crop.size()), rules.temperature, crop);
    float* planes = probabilities.empty() ? nullptr : &probabilities[slice * kLabelCount * voxels];
    fuse_slice(crop, mapping, presence_gate(presence, slice, rules.threshold),
               {labels.data() + slice * voxels, planes, voxels});
  }
}

}  // namespace cardiacseg::ops
