#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include "ops/crop.h"
#include "ops/exponential.h"
#include "ops/mask_fusion_geometry.h"

namespace cardiacseg::test {

/// What mask fusion reads.
struct FusionInputs {
  ops::FusionGeometry geometry;
  ops::FusionRules rules;
  std::vector<ops::CropOrigin> origins;
  std::vector<float> logits;
  std::vector<float> presence;

  std::int64_t slices() const { return geometry.slices * static_cast<std::int64_t>(origins.size()); }
  std::int64_t voxels() const { return geometry.rows * geometry.columns; }
  std::int64_t pixels() const { return geometry.crop_rows * geometry.crop_columns; }
};

/// What it writes.
struct FusionResults {
  std::vector<std::uint8_t> labels;
  std::vector<float> probabilities;
  std::vector<std::int32_t> counts;
};

using FourProbabilities = std::array<float, 4>;

/// Softmax of pixel `pixel` of a slice's logits `[4, pixels]`.
inline FourProbabilities reference_softmax(const float* logits, std::int64_t pixels, std::int64_t pixel,
                                           float temperature) {
  FourProbabilities p;
  for (std::size_t label = 0; label < 4; ++label) p[label] = logits[static_cast<std::int64_t>(label) * pixels + pixel];
  const float largest = *std::max_element(p.begin(), p.end());
  const float scale = std::min(1.44269504F / temperature, std::numeric_limits<float>::max());
  for (float& value : p) value = ops::exp2_of_nonpositive((value - largest) * scale);
  const float factor = 1.0F / ((p[0] + p[1]) + (p[2] + p[3]));
  for (float& value : p) value *= factor;
  return p;
}

/// Where the center of voxel `index` lies along an axis of the crop.
struct ReferencePoint {
  bool inside;
  std::int64_t lower;  ///< pixels of the crop
  std::int64_t upper;
  float share;  ///< of the upper one
};

inline ReferencePoint reference_point(std::int64_t index, double ratio, std::int64_t first, std::int64_t length) {
  const double at = (static_cast<double>(index) + 0.5) * ratio - 0.5;
  const auto begin = static_cast<double>(first);
  const auto end = static_cast<double>(first + length - 1);
  if (at < begin - 0.5 || at > end + 0.5) return {false, 0, 0, 0};
  const double clamped = std::clamp(at, begin, end);
  const double lower = std::floor(clamped);
  const auto pixel = static_cast<std::int64_t>(lower) - first;
  return {true, pixel, std::min(pixel + 1, length - 1), static_cast<float>(clamped - lower)};
}

inline FourProbabilities reference_blend(const FourProbabilities& a, const FourProbabilities& b, float share_of_b) {
  FourProbabilities mixed;
  for (std::size_t label = 0; label < 4; ++label) mixed[label] = a[label] * (1 - share_of_b) + b[label] * share_of_b;
  return mixed;
}

/// The gated probabilities of one voxel, or background if it lies outside the crop.
inline FourProbabilities reference_voxel(const FusionInputs& in, std::int64_t slice, std::int64_t row,
                                         std::int64_t column) {
  const ops::FusionGeometry& g = in.geometry;
  const ops::CropOrigin& origin = in.origins[static_cast<std::size_t>(slice / g.slices)];
  const ReferencePoint down = reference_point(row, g.row_spacing / g.target, origin.row, g.crop_rows);
  const ReferencePoint across = reference_point(column, g.column_spacing / g.target, origin.column, g.crop_columns);
  if (!down.inside || !across.inside) return {1, 0, 0, 0};
  const auto line = [&](std::int64_t pixel_row) {
    const float* logits = in.logits.data() + slice * 4 * in.pixels();
    const std::int64_t start = pixel_row * g.crop_columns;
    return reference_blend(reference_softmax(logits, in.pixels(), start + across.lower, in.rules.temperature),
                           reference_softmax(logits, in.pixels(), start + across.upper, in.rules.temperature),
                           across.share);
  };
  FourProbabilities p = reference_blend(line(down.lower), line(down.upper), down.share);
  for (std::size_t k = 0; k < 3 && !in.presence.empty(); ++k) {
    if (!(in.presence[static_cast<std::size_t>(slice) * 3 + k] > in.rules.threshold)) p[k + 1] = 0;
  }
  return p;
}

/// Divided by their sum.
inline FourProbabilities reference_shares(FourProbabilities p) {
  const float sum = (p[0] + p[1]) + (p[2] + p[3]);
  if (!(sum > 0)) return {1, 0, 0, 0};
  for (float& value : p) value /= sum;
  return p;
}

/// Mask fusion as mask_fusion.h says it, voxel by voxel; the counts are added to zeros.
inline FusionResults reference_mask_fusion(const FusionInputs& in) {
  FusionResults out;
  out.counts.resize(static_cast<std::size_t>(in.slices() * 4));
  out.labels.resize(static_cast<std::size_t>(in.slices() * in.voxels()));
  out.probabilities.resize(4 * out.labels.size());
  for (std::int64_t slice = 0; slice < in.slices(); ++slice) {
    for (std::int64_t voxel = 0; voxel < in.voxels(); ++voxel) {
      const FourProbabilities p = reference_voxel(in, slice, voxel / in.geometry.columns, voxel % in.geometry.columns);
      const FourProbabilities shares = reference_shares(p);
      std::int64_t best = 0;
      for (std::int64_t label = 1; label < 4; ++label) {
        if (p[static_cast<std::size_t>(label)] > p[static_cast<std::size_t>(best)]) best = label;
      }
      out.labels[static_cast<std::size_t>(slice * in.voxels() + voxel)] = static_cast<std::uint8_t>(best);
      ++out.counts[static_cast<std::size_t>(slice * 4 + best)];
      for (std::int64_t label = 0; label < 4; ++label) {
        out.probabilities[static_cast<std::size_t>((slice * 4 + label) * in.voxels() + voxel)] =
            shares[static_cast<std::size_t>(label)];
      }
    }
  }
  return out;
}

}  // namespace cardiacseg::test
