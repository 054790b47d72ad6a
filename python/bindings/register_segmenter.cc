#include <pybind11/functional.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <array>

#include "arrays.h"
#include "cardiacseg/cardiac_segmenter.h"
#include "cardiacseg/labels.h"
#include "pixel_types.h"

namespace py = pybind11;

namespace cardiacseg::python {
namespace {

CineView view_of(const py::array& image, const std::array<double, 3>& spacing) {
  require_rank(image, 4, "image");
  return {.data = image.data(),
          .type = pixel_type(image.dtype()),
          .shape = cine_shape(image),
          .strides = {image.strides(0), image.strides(1), image.strides(2), image.strides(3)},
          .spacing = {spacing[0], spacing[1], spacing[2]}};
}

/// Calls `progress`, and lets an interrupt from the keyboard end the run where there is none to call.
std::function<bool(std::int64_t, std::int64_t)> with_gil(const py::object& progress) {
  return [&progress](std::int64_t done, std::int64_t total) {
    const py::gil_scoped_acquire acquire;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    if (progress.is_none()) return true;
    const py::object answer = progress(done, total);
    return answer.is_none() || py::bool_(answer);
  };
}

py::dict to_python(const RunReport& report) {
  py::dict stages;
  for (const StageTime& stage : report.stages) stages[py::str(stage.stage)] = stage.milliseconds;
  return py::dict(py::arg("backend") = report.backend, py::arg("device") = report.device,
                  py::arg("reason") = report.reason, py::arg("model") = report.model,
                  py::arg("model_digest") = report.model_digest, py::arg("version") = report.version,
                  py::arg("stages") = stages);
}

py::dict to_python(Segmentation result) {
  const auto& [frames, slices, rows, columns] = result.shape;
  py::object probabilities = py::none();
  if (!result.probabilities.empty()) {
    probabilities = to_array(std::move(result.probabilities), {frames, slices, kLabelCount, rows, columns});
  }
  return py::dict(py::arg("labels") = to_array(std::move(result.labels), {frames, slices, rows, columns}),
                  py::arg("presence") = to_array(std::move(result.presence), {frames, slices, kStructureCount}),
                  py::arg("probabilities") = probabilities,
                  py::arg("agreement") = to_array(std::move(result.agreement), {frames, kStructureCount}),
                  py::arg("quality") = to_array(std::move(result.quality), {frames}),
                  py::arg("report") = to_python(result.report));
}

py::dict run(const CardiacSegmenter& segmenter, const py::array& image, const std::array<double, 3>& spacing,
             const py::object& progress, bool probabilities) {
  const CineView cine = view_of(image, spacing);
  return to_python([&] {
    const RunOptions options{.probabilities = probabilities, .progress = with_gil(progress)};
    const py::gil_scoped_release release;
    return segmenter.run(cine, options);
  }());
}

std::unique_ptr<CardiacSegmenter> make(const std::filesystem::path& bundle, const std::string& device, int threads) {
  const py::gil_scoped_release release;
  return std::make_unique<CardiacSegmenter>(bundle, SegmenterOptions{.device = device, .threads = threads});
}

py::list backends() {
  py::list all;
  for (const BackendStatus& status : list_backends()) {
    all.append(py::dict(py::arg("name") = status.name, py::arg("device") = status.device,
                        py::arg("available") = status.available, py::arg("reason") = status.reason));
  }
  return all;
}

}  // namespace

void register_segmenter(py::module_& module) {
  py::class_<CardiacSegmenter>(module, "CardiacSegmenter")
      .def(py::init(&make), py::arg("bundle"), py::arg("device"), py::arg("threads"))
      .def("run", &run, py::arg("image"), py::arg("spacing"), py::arg("progress"), py::arg("probabilities"),
           "A dict of what cardiacseg.Result holds, labels as [T, S, H, W].");
  module.def("list_backends", &backends, "Every backend of this build, as dicts of name, device, available, reason.");
}

}  // namespace cardiacseg::python
