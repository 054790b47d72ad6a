#include "cardiacseg/measurements.h"

#include <algorithm>
#include <cmath>

#include "measure/checks.h"
#include "measure/papillary.h"
#include "measure/rates.h"
#include "measure/slice_pixels.h"
#include "measure/volumes.h"
#include "measure/wall.h"

namespace cardiacseg {
namespace {

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
