#include "cardiacseg/measurements.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>

#include "cardiacseg/error.h"
#include "cardiacseg/labels.h"

namespace cardiacseg {
namespace {

[[noreturn]] void refuse(const std::string& message) { throw Error(ErrorCode::invalid_input, message); }

/// Voxels of one frame, checked to fit in memory over all frames.
std::size_t voxels_per_frame(const LabelView& labels) {
  const CineShape& shape = labels.shape;
  std::int64_t voxels = 1;
  for (const std::int64_t extent : {shape.slices, shape.rows, shape.columns, shape.frames}) {
    if (extent < 1 || extent > std::numeric_limits<std::int64_t>::max() / voxels) {
      refuse("labels: wanted [frames, slices, rows, columns] of 1 or more, got [" + std::to_string(shape.frames) +
             ", " + std::to_string(shape.slices) + ", " + std::to_string(shape.rows) + ", " +
             std::to_string(shape.columns) + "]");
    }
    voxels *= extent;
  }
  if (labels.data == nullptr) refuse("labels: wanted " + std::to_string(voxels) + " voxels, got a null pointer");
  return static_cast<std::size_t>(shape.voxels_per_frame());
}

double voxel_ml(const Spacing& spacing) {
  const double volume = spacing.slice * spacing.row * spacing.column / 1000;
  const bool positive = spacing.slice > 0 && spacing.row > 0 && spacing.column > 0;
  if (!positive || !std::isnormal(volume)) {
    refuse("labels: wanted a positive, finite spacing in mm (slice, row, column), got (" +
           std::to_string(spacing.slice) + ", " + std::to_string(spacing.row) + ", " + std::to_string(spacing.column) +
           ")");
  }
  return volume;
}

FrameVolumes frame_volumes(const std::uint8_t* voxels, std::size_t count, std::int64_t frame, double ml) {
  std::array<std::int64_t, 256> histogram{};
  for (std::size_t i = 0; i < count; ++i) ++histogram[voxels[i]];
  const auto wrong =
      std::find_if(histogram.begin() + kLabelCount, histogram.end(), [](std::int64_t voxel) { return voxel > 0; });
  if (wrong != histogram.end()) {
    refuse("labels: wanted 0 to 3, got " + std::to_string(wrong - histogram.begin()) + " in frame " +
           std::to_string(frame));
  }
  const auto volume = [&histogram, ml](Label label) {
    return static_cast<double>(histogram[static_cast<std::size_t>(label)]) * ml;
  };
  return {volume(Label::right_ventricle), volume(Label::myocardium), volume(Label::left_ventricle)};
}

VentricularFunction function_of(double edv_ml, double esv_ml) {
  VentricularFunction function{edv_ml, esv_ml, edv_ml - esv_ml, std::nullopt};
  if (edv_ml > 0) function.ef_percent = 100 * function.sv_ml / edv_ml;
  return function;
}

}  // namespace

Measurements measure(const LabelView& labels) {
  const std::size_t voxels = voxels_per_frame(labels);
  const double ml = voxel_ml(labels.spacing);
  Measurements result{};
  for (std::int64_t frame = 0; frame < labels.shape.frames; ++frame) {
    result.curve.push_back(frame_volumes(labels.data + static_cast<std::size_t>(frame) * voxels, voxels, frame, ml));
  }

  const auto& curve = result.curve;
  const auto smaller_lv = [](const FrameVolumes& a, const FrameVolumes& b) { return a.lv_ml < b.lv_ml; };
  const auto ed = std::max_element(curve.begin(), curve.end(), smaller_lv);
  result.ed_frame = ed - curve.begin();
  result.lv_mass_g = ed->myo_ml * kMyocardialDensity;
  if (curve.size() > 1) {
    const auto es = std::min_element(curve.begin(), curve.end(), smaller_lv);
    result.es_frame = es - curve.begin();
    result.lv = function_of(ed->lv_ml, es->lv_ml);
    result.rv = function_of(ed->rv_ml, es->rv_ml);
  }
  return result;
}

}  // namespace cardiacseg
