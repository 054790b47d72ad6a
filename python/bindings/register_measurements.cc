#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>

#include "arrays.h"
#include "cardiacseg/measurements.h"

namespace py = pybind11;

namespace cardiacseg::python {
namespace {

py::object to_python(const std::optional<VentricularFunction>& function) {
  if (!function) return py::none();
  return py::dict(py::arg("edv_ml") = function->edv_ml, py::arg("esv_ml") = function->esv_ml,
                  py::arg("sv_ml") = function->sv_ml, py::arg("ef_percent") = function->ef_percent);
}

py::dict to_python(const Measurements& measured) {
  py::list curve;
  for (const FrameVolumes& volumes : measured.curve) {
    curve.append(py::dict(py::arg("rv_ml") = volumes.rv_ml, py::arg("myo_ml") = volumes.myo_ml,
                          py::arg("lv_ml") = volumes.lv_ml));
  }
  return py::dict(py::arg("ed_frame") = measured.ed_frame, py::arg("es_frame") = measured.es_frame,
                  py::arg("lv") = to_python(measured.lv), py::arg("rv") = to_python(measured.rv),
                  py::arg("lv_mass_g") = measured.lv_mass_g, py::arg("curve") = curve);
}

py::dict measure_labels(const Contiguous<std::uint8_t>& labels, const std::array<double, 3>& spacing) {
  require_rank(labels, 4, "labels");
  const LabelView view{labels.data(), cine_shape(labels), {spacing[0], spacing[1], spacing[2]}};
  const Measurements measured = [&] {
    const py::gil_scoped_release release;
    return measure(view);
  }();
  return to_python(measured);
}

}  // namespace

void register_measurements(py::module_& module) {
  module.def("measure", &measure_labels, py::arg("labels"), py::arg("spacing"),
             "Volumes and function from uint8 labels [T, S, H, W] and spacing (slice, row, column) in mm, as a dict.");
  module.attr("MYOCARDIAL_DENSITY") = kMyocardialDensity;
}

}  // namespace cardiacseg::python
