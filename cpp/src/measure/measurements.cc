#include "cardiacseg/measurements.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "cardiacseg/error.h"
#include "cardiacseg/labels.h"
#include "measure/papillary.h"
#include "measure/rates.h"
#include "measure/slice_pixels.h"
#include "measure/wall.h"
#include "text.h"

namespace cardiacseg {
namespace {

constexpr double kTallest = 3;      // m
constexpr double kHeaviest = 1000;  // kg

template <class... Parts>
[[noreturn]] void refuse(const Parts&... parts) {
  TextStream message;
  (message << ... << parts);
  throw Error(ErrorCode::invalid_input, message.str());
}

std::string text(const CineShape& shape) {
  TextStream written;
  written << "[" << shape.frames << ", " << shape.slices << ", " << shape.rows << ", " << shape.columns << "]";
  return written.str();
}

void check_spacing(const Spacing& spacing) {
  const bool positive = spacing.slice > 0 && spacing.row > 0 && spacing.column > 0;
  if (!positive || !std::isnormal(spacing.slice * spacing.row * spacing.column / 1000)) {
    refuse("labels: expected a positive, finite spacing in mm (slice, row, column), got (", spacing.slice, ", ",
           spacing.row, ", ", spacing.column, ")");
  }
}

void check_shares(const LabelView& labels, std::span<const double> shares) {
  if (shares.empty()) return;
  if (shares.size() != static_cast<std::size_t>(labels.shape.slices)) {
    refuse("slice shares: expected ", labels.shape.slices, " values, one for each slice, got ", shares.size());
  }
  for (std::size_t slice = 0; slice < shares.size(); ++slice) {
    const double voxel_ml = shares[slice] * labels.spacing.row * labels.spacing.column / 1000;
    if (!(shares[slice] > 0) || !std::isnormal(voxel_ml)) {
      refuse("slice shares: expected positive, finite millimetres, got ", shares[slice], " at slice ", slice,
             " (from 0)");
    }
  }
}

void check_frame(const char* name, const std::optional<std::int64_t>& frame, std::int64_t frames) {
  if (frame && (*frame < 0 || *frame >= frames)) {
    refuse(name, ": expected a frame from 0 to ", frames - 1, ", got ", *frame);
  }
}

void check_image(const CineShape& shape, const MeasurementOptions& options, const CineView* image) {
  if (options.papillary != PapillaryMuscles::mass) return;
  if (image == nullptr || image->data == nullptr) {
    refuse("papillary muscles in the mass: expected the image of the labels, got none");
  }
  if (image->memory != Memory::host)
    refuse("papillary muscles in the mass: expected an image in host memory, got one in GPU memory");
  if (image->shape != shape) {
    refuse("papillary muscles in the mass: expected an image of the labels' shape ", text(shape), ", got ",
           text(image->shape));
  }
}

void check_times(std::span<const double> times, std::int64_t frames) {
  if (times.empty()) return;
  if (times.size() != static_cast<std::size_t>(frames)) {
    refuse("frame times: expected ", frames, " values, one for each frame, got ", times.size());
  }
  for (std::size_t frame = 0; frame < times.size(); ++frame) {
    if (!std::isfinite(times[frame]) || (frame > 0 && !(times[frame] > times[frame - 1]))) {
      refuse("frame times: expected ascending milliseconds, got ", times[frame], " at frame ", frame, " (from 0)");
    }
  }
}

/// `value` must be above 0 and up to `largest`.
void check_quantity(const char* what, const std::optional<double>& value, double largest, const char* unit) {
  if (!value || (*value > 0 && *value <= largest && std::isfinite(*value))) return;
  if (std::isfinite(largest)) refuse(what, ": expected more than 0 and up to ", largest, " ", unit, ", got ", *value);
  refuse(what, ": expected a positive, finite number of ", unit, ", got ", *value);
}

void check_labels(const LabelView& labels) {
  const CineShape& shape = labels.shape;
  std::int64_t voxels = 1;
  for (const std::int64_t extent : {shape.slices, shape.rows, shape.columns, shape.frames}) {
    if (extent < 1 || extent > std::numeric_limits<std::int64_t>::max() / voxels) {
      refuse("labels: expected [frames, slices, rows, columns] of 1 or more, got ", text(shape));
    }
    voxels *= extent;
  }
  if (labels.data == nullptr) refuse("labels: expected ", voxels, " voxels, got a null pointer");
  check_spacing(labels.spacing);
}

void check_measurement(const LabelView& labels, const MeasurementOptions& options, const MeasurementInputs& inputs) {
  const CineShape& shape = labels.shape;
  check_frame("ED", options.ed_frame, shape.frames);
  check_frame("ES", options.es_frame, shape.frames);
  check_image(shape, options, inputs.image);
  const auto marks = static_cast<std::size_t>(shape.frames * shape.slices) * kStructureCount;
  if (!inputs.included.empty() && inputs.included.size() != marks) {
    refuse("included slices: expected ", marks, " marks, one for each frame, slice and structure, got ",
           inputs.included.size());
  }
  check_shares(labels, inputs.slice_shares_mm);
  check_times(inputs.frame_times_ms, shape.frames);
  check_quantity("RR interval", inputs.rr_interval_ms, std::numeric_limits<double>::infinity(), "ms");
  check_quantity("height", inputs.height_m, kTallest, "m");
  check_quantity("weight", inputs.weight_kg, kHeaviest, "kg");
  if (!std::isnormal(std::hypot(inputs.anterior[0], inputs.anterior[1]))) {
    refuse("anterior: expected a direction (along rows, along columns) that is not zero, got (", inputs.anterior[0],
           ", ", inputs.anterior[1], ")");
  }
}

using Curve = std::vector<double>;

Curve one_curve(const std::vector<FrameVolumes>& volumes, double FrameVolumes::*structure) {
  Curve curve;
  for (const FrameVolumes& frame : volumes) curve.push_back(frame.*structure);
  return curve;
}

std::int64_t largest(const Curve& curve) { return std::max_element(curve.begin(), curve.end()) - curve.begin(); }
std::int64_t smallest(const Curve& curve) { return std::min_element(curve.begin(), curve.end()) - curve.begin(); }

VentricularFunction function_of(const Curve& curve, std::int64_t ed, std::int64_t es, std::optional<double> rate) {
  const double edv_ml = curve[static_cast<std::size_t>(ed)];
  const double esv_ml = curve[static_cast<std::size_t>(es)];
  VentricularFunction function{edv_ml, esv_ml, edv_ml - esv_ml, std::nullopt, std::nullopt};
  if (edv_ml > 0) function.ef_percent = 100 * function.sv_ml / edv_ml;
  if (rate) function.co_l_min = function.sv_ml * *rate / 1000;
  return function;
}

double mass_g(const FrameVolumes& volumes) { return volumes.myo_ml * kMyocardialDensity; }

std::vector<double> areas_mm2(const std::vector<StructurePixels>& pixels, const Spacing& spacing) {
  std::vector<double> areas;
  for (const StructurePixels& slice : pixels) {
    for (const std::int64_t count : slice) areas.push_back(static_cast<double>(count) * spacing.row * spacing.column);
  }
  return areas;
}

std::optional<double> body_surface_m2(BsaFormula formula, const MeasurementInputs& inputs) {
  if (!inputs.height_m || !inputs.weight_kg) return std::nullopt;
  const double height_cm = *inputs.height_m * 100;
  const double weight_kg = *inputs.weight_kg;
  if (formula == BsaFormula::mosteller) return std::sqrt(height_cm * weight_kg / 3600);
  return 0.007184 * std::pow(height_cm, 0.725) * std::pow(weight_kg, 0.425);
}

std::vector<StructurePixels> pixels_of(const LabelView& labels, const MeasurementOptions& options,
                                       const MeasurementInputs& inputs) {
  std::vector<StructurePixels> pixels = count_pixels(labels);
  if (options.papillary == PapillaryMuscles::mass) move_papillary_muscles(labels, *inputs.image, pixels);
  return pixels;
}

/// Frames, function and rates from the curve in `result`.
void measure_function(Measurements& result, const MeasurementOptions& options, const MeasurementInputs& inputs) {
  const Curve lv = one_curve(result.curve, &FrameVolumes::lv_ml);
  const Curve rv = one_curve(result.curve, &FrameVolumes::rv_ml);
  const bool own = options.rv_phases == RvPhases::own;
  result.ed_frame = options.ed_frame.value_or(largest(lv));
  result.rv_ed_frame = own ? largest(rv) : result.ed_frame;
  if (lv.size() > 1) {
    result.es_frame = options.es_frame.value_or(smallest(lv));
    result.rv_es_frame = own ? smallest(rv) : result.es_frame;
    result.lv = function_of(lv, result.ed_frame, *result.es_frame, result.heart_rate_per_min);
    result.rv = function_of(rv, result.rv_ed_frame, *result.rv_es_frame, result.heart_rate_per_min);
  }
  result.lv_rates = volume_rates(lv, inputs.frame_times_ms, inputs.rr_interval_ms);
  result.rv_rates = volume_rates(rv, inputs.frame_times_ms, inputs.rr_interval_ms);
}

}  // namespace

Measurements measure(const LabelView& labels, const MeasurementOptions& options, const MeasurementInputs& inputs) {
  check_labels(labels);
  check_measurement(labels, options, inputs);
  const Spacing& spacing = labels.spacing;
  const auto slices = static_cast<std::size_t>(labels.shape.slices);
  const std::vector<StructurePixels> pixels = pixels_of(labels, options, inputs);

  Measurements result{};
  result.curve = volume_curve(pixels, inputs.included, slice_weights(inputs.slice_shares_mm, slices, spacing.slice),
                              spacing.slice * spacing.row * spacing.column / 1000, options.end_slices);
  result.areas_mm2 = areas_mm2(pixels, spacing);
  if (inputs.rr_interval_ms) result.heart_rate_per_min = 60000 / *inputs.rr_interval_ms;
  result.bsa_m2 = body_surface_m2(options.bsa_formula, inputs);
  measure_function(result, options, inputs);
  result.lv_mass_g = mass_g(result.curve[static_cast<std::size_t>(result.ed_frame)]);
  if (result.es_frame) result.lv_mass_es_g = mass_g(result.curve[static_cast<std::size_t>(*result.es_frame)]);
  result.base_first =
      is_base_first(std::span(pixels).subspan(static_cast<std::size_t>(result.ed_frame) * slices, slices));
  result.wall = wall_thickness(labels, result.ed_frame, result.es_frame, result.base_first.value_or(true), inputs);
  return result;
}

}  // namespace cardiacseg
