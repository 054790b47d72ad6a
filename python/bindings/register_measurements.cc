#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <string>
#include <vector>

#include "arrays.h"
#include "cardiacseg/labels.h"
#include "cardiacseg/measurements.h"
#include "long_call.h"
#include "ops/region_sizes.h"
#include "pixel_types.h"

namespace py = pybind11;

namespace cardiacseg::python {
namespace {

py::object to_python(const std::optional<VentricularFunction>& function) {
  if (!function) return py::none();
  return py::dict(py::arg("edv_ml") = function->edv_ml, py::arg("esv_ml") = function->esv_ml,
                  py::arg("sv_ml") = function->sv_ml, py::arg("ef_percent") = function->ef_percent,
                  py::arg("co_l_min") = function->co_l_min);
}

py::object to_python(const std::optional<VolumeRates>& rates) {
  if (!rates) return py::none();
  return py::dict(py::arg("peak_ejection_ml_s") = rates->peak_ejection_ml_s,
                  py::arg("peak_ejection_time_ms") = rates->peak_ejection_time_ms,
                  py::arg("peak_filling_ml_s") = rates->peak_filling_ml_s,
                  py::arg("peak_filling_time_ms") = rates->peak_filling_time_ms);
}

py::object to_python(const std::optional<WallThickness>& wall) {
  if (!wall) return py::none();
  const auto array = [](const std::array<double, kWallSegments>& values) {
    return to_array(std::vector<double>(values.begin(), values.end()), {kWallSegments});
  };
  return py::dict(py::arg("ed_mm") = array(wall->ed_mm), py::arg("es_mm") = array(wall->es_mm),
                  py::arg("thickening_percent") = array(wall->thickening_percent));
}

py::object curve_of(const Measurements& measured, double FrameVolumes::*structure) {
  std::vector<double> curve;
  for (const FrameVolumes& volumes : measured.curve) curve.push_back(volumes.*structure);
  const auto frames = static_cast<py::ssize_t>(curve.size());
  return to_array(std::move(curve), {frames});
}

py::dict to_python(const Measurements& measured, const CineShape& shape) {
  return py::dict(py::arg("ed_frame") = measured.ed_frame, py::arg("es_frame") = measured.es_frame,
                  py::arg("rv_ed_frame") = measured.rv_ed_frame, py::arg("rv_es_frame") = measured.rv_es_frame,
                  py::arg("lv") = to_python(measured.lv), py::arg("rv") = to_python(measured.rv),
                  py::arg("lv_mass_g") = measured.lv_mass_g, py::arg("lv_mass_es_g") = measured.lv_mass_es_g,
                  py::arg("rv_ml") = curve_of(measured, &FrameVolumes::rv_ml),
                  py::arg("myo_ml") = curve_of(measured, &FrameVolumes::myo_ml),
                  py::arg("lv_ml") = curve_of(measured, &FrameVolumes::lv_ml),
                  py::arg("areas_mm2") = to_array(measured.areas_mm2, {shape.frames, shape.slices, kStructureCount}),
                  py::arg("base_first") = measured.base_first,
                  py::arg("heart_rate_per_min") = measured.heart_rate_per_min, py::arg("bsa_m2") = measured.bsa_m2,
                  py::arg("lv_rates") = to_python(measured.lv_rates),
                  py::arg("rv_rates") = to_python(measured.rv_rates), py::arg("wall") = to_python(measured.wall));
}

CineView view_of(const py::array& image, const Spacing& spacing) {
  require_rank(image, 4, "image");
  return {.data = image.data(),
          .type = pixel_type(image.dtype()),
          .shape = cine_shape(image),
          .strides = {image.strides(0), image.strides(1), image.strides(2), image.strides(3)},
          .spacing = spacing};
}

py::dict measure_labels(const Contiguous<std::uint8_t>& labels, const std::array<double, 3>& spacing,
                        const MeasurementOptions& options, const Contiguous<std::uint8_t>& included,
                        const std::optional<py::array>& image, const std::vector<double>& slice_shares_mm,
                        const std::vector<double>& frame_times_ms, std::optional<double> rr_interval_ms,
                        std::optional<double> height_m, std::optional<double> weight_kg,
                        const std::array<double, 2>& anterior) {
  require_rank(labels, 4, "labels");
  const LabelView view{labels.data(), cine_shape(labels), {spacing[0], spacing[1], spacing[2]}};
  std::optional<CineView> picture;
  if (image) picture = view_of(*image, view.spacing);
  const MeasurementInputs inputs{.image = picture ? &*picture : nullptr,
                                 .included = values_of(included),
                                 .slice_shares_mm = slice_shares_mm,
                                 .frame_times_ms = frame_times_ms,
                                 .rr_interval_ms = rr_interval_ms,
                                 .height_m = height_m,
                                 .weight_kg = weight_kg,
                                 .anterior = anterior};
  const Measurements measured = [&] {
    const py::gil_scoped_release release;
    return measure(view, options, inputs);
  }();
  return to_python(measured, view.shape);
}

MeasurementOptions options_of(std::optional<std::int64_t> ed_frame, std::optional<std::int64_t> es_frame,
                              bool rv_own_phases, bool trapezoid, bool papillary_in_mass, bool du_bois) {
  return {.ed_frame = ed_frame,
          .es_frame = es_frame,
          .rv_phases = rv_own_phases ? RvPhases::own : RvPhases::lv,
          .end_slices = trapezoid ? EndSlices::trapezoid : EndSlices::whole,
          .papillary = papillary_in_mass ? PapillaryMuscles::mass : PapillaryMuscles::volume,
          .bsa_formula = du_bois ? BsaFormula::du_bois : BsaFormula::mosteller};
}

std::vector<std::int64_t> region_sizes(const Contiguous<std::uint8_t>& mask, int neighbors) {
  require_rank(mask, 2, "mask");
  return ops::region_sizes(values_of(mask), mask.shape(0), mask.shape(1), neighbors);
}

}  // namespace

void register_measurements(py::module_& module) {
  py::class_<MeasurementOptions>(module, "MeasurementOptions")
      .def(py::init(&options_of), py::kw_only(), py::arg("ed_frame"), py::arg("es_frame"), py::arg("rv_own_phases"),
           py::arg("trapezoid"), py::arg("papillary_in_mass"), py::arg("du_bois"));
  module.def("measure", &measure_labels, py::call_guard<LongCall>(), py::arg("labels"), py::arg("spacing"),
             py::arg("options"), py::kw_only(), py::arg("included"), py::arg("image"), py::arg("slice_shares_mm"),
             py::arg("frame_times_ms"), py::arg("rr_interval_ms"), py::arg("height_m"), py::arg("weight_kg"),
             py::arg("anterior"),
             "What cardiacseg.measurements.measure finds, as a dict; an `included` without values counts all slices.");
  module.def("region_sizes", &region_sizes, py::arg("mask"), py::arg("neighbors"),
             "Pixels of each connected component of a mask, in the order of their first pixels.");
  module.attr("MYOCARDIAL_DENSITY") = kMyocardialDensity;
}

}  // namespace cardiacseg::python
