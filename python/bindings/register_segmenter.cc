#include <pybind11/functional.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <array>

#include "arrays.h"
#include "cardiacseg/cardiac_segmenter.h"
#include "cardiacseg/compiled_networks.h"
#include "cardiacseg/labels.h"
#include "device_labels.h"
#include "long_call.h"
#include "pixel_types.h"

namespace py = pybind11;

namespace cardiacseg::python {
namespace {

using SpacingOf = std::array<double, 3>;
using Axes = std::array<std::int64_t, 4>;

Spacing spacing_of(const SpacingOf& spacing) { return {spacing[0], spacing[1], spacing[2]}; }
CineShape shape_of(const Axes& shape) { return {shape[0], shape[1], shape[2], shape[3]}; }

CineView view_of(const py::array& image, const SpacingOf& spacing) {
  require_rank(image, 4, "image");
  return {.data = image.data(),
          .type = pixel_type(image.dtype()),
          .shape = cine_shape(image),
          .strides = {image.strides(0), image.strides(1), image.strides(2), image.strides(3)},
          .spacing = spacing_of(spacing)};
}

/// Pixels in device memory; `strides` are in bytes.
CineView device_view(std::uintptr_t address, const py::dtype& dtype, const Axes& shape, const Axes& strides,
                     const SpacingOf& spacing) {
  return {.data = reinterpret_cast<const void*>(address),
          .type = pixel_type(dtype),
          .shape = shape_of(shape),
          .strides = {strides[0], strides[1], strides[2], strides[3]},
          .spacing = spacing_of(spacing),
          .memory = Memory::device};
}

/// Where this thread is the one that Python gives signals to, lets those end a run within a frame. Others are better
/// off without: their networks then run in themselves.
std::function<bool()> heeding_signals() {
  const auto threading = py::module_::import("threading");
  if (!threading.attr("current_thread")().is(threading.attr("main_thread")())) return {};
  return [] {
    const py::gil_scoped_acquire acquire;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    return true;
  };
}

/// Calls `progress`, if there is one, and ends a run in a daemon thread when the interpreter ends.
std::function<bool(std::int64_t, std::int64_t)> with_gil(const py::object& progress) {
  return [&progress](std::int64_t done, std::int64_t total) {
    const py::gil_scoped_acquire acquire;
    LongCall::require_running();
    if (progress.is_none()) return true;
    const py::object answer = progress(done, total);
    return answer.is_none() || py::bool_(answer);
  };
}

py::list to_python(const std::vector<RunWarning>& warnings) {
  py::list all;
  for (const RunWarning& warning : warnings) all.append(py::make_tuple(warning.code, warning.text));
  return all;
}

py::dict to_python(const RunReport& report) {
  py::dict stages;
  for (const StageTime& stage : report.stages) stages[py::str(stage.stage)] = stage.milliseconds;
  return py::dict(py::arg("backend") = report.backend, py::arg("device") = report.device,
                  py::arg("reason") = report.reason, py::arg("precision") = report.precision,
                  py::arg("precision_reason") = report.precision_reason, py::arg("model") = report.model,
                  py::arg("model_digest") = report.model_digest, py::arg("version") = report.version,
                  py::arg("stages") = stages, py::arg("temporal") = report.temporal,
                  py::arg("presence_changes") = report.presence_changes, py::arg("graph") = report.graph);
}

py::object labels_of(Segmentation& result) {
  const auto& [frames, slices, rows, columns] = result.shape;
  if (result.device_labels) {
    return py::cast(
        DeviceLabels(std::move(result.device_labels), {frames, slices, rows, columns}, result.device_index));
  }
  return to_array(std::move(result.labels), {frames, slices, rows, columns});
}

py::dict to_python(Segmentation result) {
  const auto& [frames, slices, rows, columns] = result.shape;
  py::object probabilities = py::none();
  if (!result.probabilities.empty()) {
    probabilities = to_array(std::move(result.probabilities), {frames, slices, kLabelCount, rows, columns});
  }
  return py::dict(py::arg("labels") = labels_of(result),
                  py::arg("presence") = to_array(std::move(result.presence), {frames, slices, kStructureCount}),
                  py::arg("probabilities") = probabilities,
                  py::arg("agreement") = to_array(std::move(result.agreement), {frames, kStructureCount}),
                  py::arg("quality") = to_array(std::move(result.quality), {frames}),
                  py::arg("warnings") = to_python(result.warnings), py::arg("report") = to_python(result.report));
}

py::dict run_view(const CardiacSegmenter& segmenter, const CineView& cine, const py::object& progress,
                  bool probabilities, bool device_labels, const std::string& temporal, std::uintptr_t stream) {
  return to_python([&] {
    const RunOptions options{.probabilities = probabilities,
                             .temporal = temporal,
                             .progress = with_gil(progress),
                             .keep_going = heeding_signals(),
                             .device_labels = device_labels,
                             .stream = reinterpret_cast<void*>(stream)};
    const py::gil_scoped_release release;
    return segmenter.run(cine, options);
  }());
}

py::dict run(const CardiacSegmenter& segmenter, const py::array& image, const SpacingOf& spacing,
             const py::object& progress, bool probabilities, bool device_labels, const std::string& temporal) {
  return run_view(segmenter, view_of(image, spacing), progress, probabilities, device_labels, temporal, 0);
}

py::dict run_device(const CardiacSegmenter& segmenter, std::uintptr_t address, const py::dtype& dtype,
                    const Axes& shape, const Axes& strides, const SpacingOf& spacing, const py::object& progress,
                    bool probabilities, bool device_labels, const std::string& temporal, std::uintptr_t stream) {
  return run_view(segmenter, device_view(address, dtype, shape, strides, spacing), progress, probabilities,
                  device_labels, temporal, stream);
}

void warm_up(const CardiacSegmenter& segmenter, const std::vector<Axes>& shapes, const SpacingOf& spacing,
             const py::dtype& dtype) {
  std::vector<CineKind> kinds;
  for (const Axes& shape : shapes) kinds.push_back({shape_of(shape), spacing_of(spacing), pixel_type(dtype)});
  const std::function<bool()> keep_going = heeding_signals();
  const py::gil_scoped_release release;
  segmenter.warm_up(kinds, keep_going);
}

py::dict to_python(const StageParity& stage) {
  return py::dict(py::arg("stage") = stage.stage, py::arg("precision") = stage.precision,
                  py::arg("passed") = stage.passed, py::arg("verdict") = stage.verdict,
                  py::arg("unwritten") = stage.unwritten, py::arg("largest_difference") = stage.largest_difference,
                  py::arg("probability_difference") = stage.probability_difference, py::arg("voxels") = stage.voxels,
                  py::arg("differing") = stage.differing, py::arg("largest_gap") = stage.largest_gap,
                  py::arg("dice") = stage.dice);
}

py::dict verify_view(const CardiacSegmenter& segmenter, const CineView& cine, std::uintptr_t stream) {
  const Parity parity = [&] {
    const py::gil_scoped_release release;
    return segmenter.verify(cine, reinterpret_cast<void*>(stream));
  }();
  py::list stages;
  for (const StageParity& stage : parity.stages) stages.append(to_python(stage));
  return py::dict(py::arg("passed") = parity.passed, py::arg("summary") = parity.summary, py::arg("stages") = stages);
}

py::dict verify(const CardiacSegmenter& segmenter, const py::array& image, const SpacingOf& spacing) {
  return verify_view(segmenter, view_of(image, spacing), 0);
}

py::dict verify_device(const CardiacSegmenter& segmenter, std::uintptr_t address, const py::dtype& dtype,
                       const Axes& shape, const Axes& strides, const SpacingOf& spacing, std::uintptr_t stream) {
  return verify_view(segmenter, device_view(address, dtype, shape, strides, spacing), stream);
}

SegmenterOptions options_of(const std::string& device, int threads, const std::string& precision,
                            const std::filesystem::path& engines, const std::filesystem::path& cache) {
  return {.device = device, .threads = threads, .precision = precision, .engines = engines, .cache = cache};
}

std::unique_ptr<CardiacSegmenter> make(const std::filesystem::path& bundle, const std::string& device, int threads,
                                       const std::string& precision, const std::filesystem::path& engines,
                                       const std::filesystem::path& cache) {
  const py::gil_scoped_release release;
  return std::make_unique<CardiacSegmenter>(bundle, options_of(device, threads, precision, engines, cache));
}

py::dict to_python(const DeviceChoice& chosen) {
  return py::dict(py::arg("backend") = chosen.backend, py::arg("device") = chosen.device,
                  py::arg("reason") = chosen.reason, py::arg("precision") = chosen.precision,
                  py::arg("precision_reason") = chosen.precision_reason);
}

py::dict choice(const std::filesystem::path& bundle, const std::string& device, int threads,
                const std::string& precision, const std::filesystem::path& engines) {
  return to_python([&] {
    const py::gil_scoped_release release;
    return explain_device(bundle, options_of(device, threads, precision, engines, {}));
  }());
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
  using Guard = py::call_guard<LongCall>;
  py::class_<CardiacSegmenter>(module, "CardiacSegmenter")
      .def(py::init(&make), Guard(), py::arg("bundle"), py::arg("device"), py::arg("threads"), py::arg("precision"),
           py::arg("engines"), py::arg("cache"))
      .def_property_readonly(
          "choice", [](const CardiacSegmenter& segmenter) { return to_python(segmenter.choice()); },
          "What it runs on and computes in, and why, as explain_device has it.")
      .def("run", &run, Guard(), py::arg("image"), py::arg("spacing"), py::arg("progress"), py::arg("probabilities"),
           py::arg("device_labels"), py::arg("temporal"),
           "A dict of what cardiacseg.Result holds, labels as [T, S, H, W].")
      .def("run_device", &run_device, Guard(), py::arg("address"), py::arg("dtype"), py::arg("shape"),
           py::arg("strides"), py::arg("spacing"), py::arg("progress"), py::arg("probabilities"),
           py::arg("device_labels"), py::arg("temporal"), py::arg("stream"), "The same for an image in device memory.")
      .def("warm_up", &warm_up, Guard(), py::arg("shapes"), py::arg("spacing"), py::arg("dtype"))
      .def("verify", &verify, Guard(), py::arg("image"), py::arg("spacing"), "A dict of what cardiacseg.Parity holds.")
      .def("verify_device", &verify_device, Guard(), py::arg("address"), py::arg("dtype"), py::arg("shape"),
           py::arg("strides"), py::arg("spacing"), py::arg("stream"), "The same for an image in device memory.")
      .def("trim", &CardiacSegmenter::trim, Guard());
  module.def("explain_device", &choice, Guard(), py::arg("bundle"), py::arg("device"), py::arg("threads"),
             py::arg("precision"), py::arg("engines"),
             "What a segmenter made so would run on, as a dict of what cardiacseg.Report says of it.");
  module.def("compiled_networks_folder", &compiled_networks_folder, py::arg("requested") = "",
             "Folder of compiled networks for the CPU; empty if none are kept.");
  module.attr("COMPILED_BYTES") = kCompiledBytes;
  module.attr("CACHE_BYTES") = kCacheBytes;
  module.def("list_backends", &backends, "Every backend of this build, as dicts of name, device, available, reason.");
}

}  // namespace cardiacseg::python
