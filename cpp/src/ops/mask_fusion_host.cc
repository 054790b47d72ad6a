#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

#include "cardiacseg/labels.h"
#include "ops/mask_fusion.h"
#include "ops/mask_fusion_rows.h"
#include "ops/parallel.h"

namespace cardiacseg::ops {
namespace {

/// Pointers to the results of one slice; nullptr if not requested.
struct SliceOutputs {
  std::size_t rows;
  std::size_t columns;
  std::uint8_t* labels;
  float* probabilities;
  std::int32_t* counts;

  std::size_t voxels() const { return rows * columns; }

  void clear() const {
    std::fill_n(labels, voxels(), static_cast<std::uint8_t>(Label::background));
    if (probabilities == nullptr) return;
    std::fill_n(probabilities, voxels(), 1.0F);
    std::fill_n(probabilities + voxels(), (kLabelCount - 1) * voxels(), 0.0F);
  }

  void count() const {
    if (counts == nullptr) return;
    for (std::size_t label = 0; label < kLabelCount; ++label) {
      counts[label] += static_cast<std::int32_t>(std::count(labels, labels + voxels(), label));
    }
  }
};

/// The crop of one slice, turned row by row into probabilities at the columns of the voxels.
class CropRows {
 public:
  /// `memory` holds floats_needed(crop_columns, columns) numbers.
  CropRows(const float* logits, const FusionGeometry& geometry, float scale, const Gate& gate,
           const InsideAxis& columns, float* memory)
      : logits_(logits),
        plane_(static_cast<std::size_t>(geometry.crop_rows * geometry.crop_columns)),
        width_(static_cast<std::size_t>(geometry.crop_columns)),
        scale_(scale),
        gate_(gate),
        columns_(columns),
        pixels_(memory),
        expanded_{memory + kLabelCount * width_, memory + kLabelCount * (width_ + columns.size())} {}

  static std::size_t floats_needed(std::size_t crop_columns, std::size_t columns) {
    return kLabelCount * (crop_columns + 2 * columns);
  }

  /// Stays valid until the row after the next is asked for.
  PlaneRow<const float> at(std::int32_t row) {
    const std::size_t slot = static_cast<std::size_t>(row) % 2;
    if (held_[slot] != row) {
      softmax_row(plane_row(logits_ + static_cast<std::size_t>(row) * width_, plane_), scale_, gate_, width_,
                  plane_row(pixels_, width_));
      expand_row(plane_row<const float>(pixels_, width_), columns_, plane_row(expanded_[slot], columns_.size()));
      held_[slot] = row;
    }
    return plane_row<const float>(expanded_[slot], columns_.size());
  }

 private:
  const float* logits_;
  std::size_t plane_;
  std::size_t width_;
  float scale_;
  Gate gate_;
  const InsideAxis& columns_;
  float* pixels_;
  std::array<float*, 2> expanded_;
  std::array<std::int32_t, 2> held_{-1, -1};
};

void fuse_slice(CropRows& crop, const InsideAxis& rows, const InsideAxis& columns, const SliceOutputs& outputs) {
  for (std::size_t row = 0; row < rows.size(); ++row) {
    const PlaneRow<const float> above = crop.at(rows.lower[row]);
    const PlaneRow<const float> below = crop.at(rows.upper[row]);
    const std::size_t start = (rows.first + row) * outputs.columns + columns.first;
    label_row(above, below, rows.share[row], columns.size(), outputs.labels + start);
    if (outputs.probabilities == nullptr) continue;
    share_row(above, below, rows.share[row], columns.size(),
              plane_row(outputs.probabilities + start, outputs.voxels()));
  }
}

/// The axes of one stack's crop.
struct InsideAxes {
  InsideAxis rows;
  InsideAxis columns;
};

std::vector<InsideAxes> inside_axes(std::span<const CropOrigin> origins, const FusionGeometry& geometry) {
  const auto rows = axis_points(geometry.rows, geometry.row_spacing / geometry.target);
  const auto columns = axis_points(geometry.columns, geometry.column_spacing / geometry.target);
  std::vector<InsideAxes> stacks;
  stacks.reserve(origins.size());
  for (const CropOrigin& origin : origins) {
    stacks.push_back({inside_axis(rows, origin.row, geometry.crop_rows),
                      inside_axis(columns, origin.column, geometry.crop_columns)});
  }
  return stacks;
}

void require_sizes(std::span<const float> logits, std::span<const float> presence, std::int64_t slices,
                   const FusionGeometry& geometry, const FusionOutputs& outputs) {
  require_size("logits of mask_fusion", logits.size(),
               {slices, kLabelCount, geometry.crop_rows, geometry.crop_columns});
  if (!presence.empty()) require_size("presence of mask_fusion", presence.size(), {slices, kStructureCount});
  require_size("labels of mask_fusion", outputs.labels.size(), {slices, geometry.rows, geometry.columns});
  if (!outputs.probabilities.empty()) {
    require_size("probabilities of mask_fusion", outputs.probabilities.size(),
                 {slices, kLabelCount, geometry.rows, geometry.columns});
  }
  if (!outputs.counts.empty()) require_size("counts of mask_fusion", outputs.counts.size(), {slices, kLabelCount});
}

SliceOutputs outputs_of(const FusionOutputs& outputs, const FusionGeometry& geometry, std::size_t slice) {
  const auto rows = static_cast<std::size_t>(geometry.rows);
  const auto columns = static_cast<std::size_t>(geometry.columns);
  const std::size_t first = slice * rows * columns;
  return {rows, columns, outputs.labels.data() + first,
          outputs.probabilities.empty() ? nullptr : outputs.probabilities.data() + kLabelCount * first,
          outputs.counts.empty() ? nullptr : outputs.counts.data() + kLabelCount * slice};
}

}  // namespace

void mask_fusion(std::span<const float> logits, std::span<const float> presence, std::span<const CropOrigin> origins,
                 const FusionRules& rules, const FusionGeometry& geometry, const FusionOutputs& outputs, int threads) {
  require_fusion(rules, geometry);
  const auto stacks = static_cast<std::int64_t>(origins.size());
  const auto slices = static_cast<std::int64_t>(element_count("stacks of mask_fusion", {stacks, geometry.slices}));
  require_sizes(logits, presence, slices, geometry, outputs);

  const std::vector<InsideAxes> axes = inside_axes(origins, geometry);
  const std::size_t crop_size = logits.size() / static_cast<std::size_t>(slices);
  const std::size_t room = CropRows::floats_needed(static_cast<std::size_t>(geometry.crop_columns),
                                                   static_cast<std::size_t>(geometry.columns));
  std::vector<float> memory(static_cast<std::size_t>(slices) * room);
  parallel_for(slices, threads, [&](std::int64_t begin, std::int64_t end) {
    for (auto slice = static_cast<std::size_t>(begin); slice < static_cast<std::size_t>(end); ++slice) {
      const auto& [down, across] = axes[slice / static_cast<std::size_t>(geometry.slices)];
      const Gate gate = presence_gate(presence.empty() ? nullptr : presence.data(), static_cast<std::int64_t>(slice),
                                      rules.threshold);
      const SliceOutputs results = outputs_of(outputs, geometry, slice);
      results.clear();
      if (!gate.shut()) {
        CropRows crop(&logits[slice * crop_size], geometry, logit_scale(rules.temperature), gate, across,
                      &memory[slice * room]);
        fuse_slice(crop, down, across, results);
      }
      results.count();
    }
  });
}

}  // namespace cardiacseg::ops
