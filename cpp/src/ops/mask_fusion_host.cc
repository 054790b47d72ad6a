#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <vector>

#include "cardiacseg/labels.h"
#include "ops/mask_fusion.h"
#include "ops/require.h"

namespace cardiacseg::ops {
namespace {

using Probabilities = std::array<float, kLabelCount>;
using Gate = std::array<bool, kStructureCount>;

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

/// Softmax over the four planes of one slice's `[4, pixels]` logits.
void softmax(std::span<const float> logits, std::vector<Probabilities>& probabilities) {
  const std::size_t pixels = probabilities.size();
  for (std::size_t pixel = 0; pixel < pixels; ++pixel) {
    Probabilities& p = probabilities[pixel];
    for (std::size_t label = 0; label < p.size(); ++label) p[label] = logits[label * pixels + pixel];
    const float largest = *std::max_element(p.begin(), p.end());
    float sum = 0;
    for (float& value : p) sum += value = std::exp(value - largest);
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

std::uint8_t label_voxel(const RowPair& rows, const Neighbours& across, const Gate& open) {
  const Probabilities above = blend(rows.above[across.lower], rows.above[across.upper], across.upper_share);
  const Probabilities below = blend(rows.below[across.lower], rows.below[across.upper], across.upper_share);
  return best_label(blend(above, below, rows.share_of_below), open);
}

Gate gate(std::span<const float> presence, std::size_t slice, float threshold) {
  Gate open;
  open.fill(true);
  if (presence.empty()) return open;
  for (std::size_t k = 0; k < open.size(); ++k) open[k] = presence[slice * open.size() + k] > threshold;
  return open;
}

void require_sizes(std::span<const float> logits, std::span<const float> presence, const FusionGeometry& geometry,
                   std::size_t labels) {
  require_spacing(geometry.row_spacing, geometry.target);
  require_spacing(geometry.column_spacing, geometry.target);
  require_size("logits of mask_fusion", logits.size(),
               {geometry.slices, kLabelCount, geometry.window.rows, geometry.window.columns});
  if (!presence.empty()) require_size("presence of mask_fusion", presence.size(), {geometry.slices, kStructureCount});
  require_size("labels of mask_fusion", labels, {geometry.slices, geometry.rows, geometry.columns});
}

}  // namespace

void mask_fusion(std::span<const float> logits, std::span<const float> presence, float threshold,
                 const FusionGeometry& geometry, std::span<std::uint8_t> labels) {
  require_sizes(logits, presence, geometry, labels.size());
  const Window& window = geometry.window;
  const std::vector<Neighbours> rows =
      axis_neighbours(geometry.rows, geometry.row_spacing / geometry.target, window.top, window.rows);
  const std::vector<Neighbours> columns =
      axis_neighbours(geometry.columns, geometry.column_spacing / geometry.target, window.left, window.columns);
  const auto crop_columns = static_cast<std::size_t>(window.columns);
  std::vector<Probabilities> crop(static_cast<std::size_t>(window.rows) * crop_columns);
  std::fill(labels.begin(), labels.end(), static_cast<std::uint8_t>(Label::background));

  for (std::size_t slice = 0; slice < static_cast<std::size_t>(geometry.slices); ++slice) {
    softmax(logits.subspan(slice * kLabelCount * crop.size(), kLabelCount * crop.size()), crop);
    const Gate open = gate(presence, slice, threshold);
    for (std::size_t row = 0; row < rows.size(); ++row) {
      if (!rows[row].inside) continue;
      const RowPair pair{&crop[rows[row].lower * crop_columns], &crop[rows[row].upper * crop_columns],
                         rows[row].upper_share};
      std::uint8_t* to = labels.data() + (slice * rows.size() + row) * columns.size();
      for (std::size_t column = 0; column < columns.size(); ++column) {
        if (columns[column].inside) to[column] = label_voxel(pair, columns[column], open);
      }
    }
  }
}

}  // namespace cardiacseg::ops
