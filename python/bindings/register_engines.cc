#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <cstddef>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "cardiacseg/engines.h"
#include "long_call.h"

namespace py = pybind11;

namespace cardiacseg::python {
namespace {

using Shape = std::vector<std::int64_t>;
/// Smallest, best and largest shape.
using Range = std::tuple<Shape, Shape, Shape>;
using Ranges = std::map<std::string, Range>;

std::span<const std::byte> view_of(const py::bytes& bytes) { return std::as_bytes(std::span(std::string_view(bytes))); }

py::bytes to_bytes(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::vector<EngineInput> to_inputs(const Ranges& ranges) {
  std::vector<EngineInput> inputs;
  for (const auto& [name, range] : ranges) {
    const auto& [smallest, best, largest] = range;
    inputs.push_back({name, smallest, best, largest});
  }
  return inputs;
}

Ranges to_ranges(const std::vector<EngineInput>& inputs) {
  Ranges ranges;
  for (const EngineInput& input : inputs) ranges[input.name] = {input.smallest, input.best, input.largest};
  return ranges;
}

py::dict to_python(const EngineInfo& info) {
  const EngineFacts& facts = info.facts;
  return py::dict(py::arg("model") = facts.model, py::arg("stage") = facts.stage,
                  py::arg("onnx_sha256") = facts.onnx_sha256, py::arg("precision") = facts.precision,
                  py::arg("plugin") = facts.plugin, py::arg("inputs") = to_ranges(facts.inputs),
                  py::arg("outputs") = facts.outputs, py::arg("flavour") = info.flavour,
                  py::arg("library_version") = info.library_version, py::arg("version") = info.version,
                  py::arg("compute_capabilities") = info.compute_capabilities, py::arg("gpu") = info.gpu,
                  py::arg("verified_on") = info.verified_on, py::arg("plan_bytes") = info.plan_bytes,
                  py::arg("plan_sha256") = info.plan_sha256);
}

/// Calls `progress` from whatever thread builds, and lets an interrupt from the keyboard end the build.
EngineProgress with_gil(const py::object& progress) {
  return [&progress](const std::string& phase, int step, int steps) {
    const py::gil_scoped_acquire acquire;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    if (progress.is_none()) return true;
    const py::object answer = progress(phase, step, steps);
    return answer.is_none() || py::bool_(answer);
  };
}

py::dict build(const std::string& flavour, const std::filesystem::path& folder, const std::string& model,
               const std::string& stage, const std::string& onnx_sha256, const std::string& precision, bool plugin,
               const Ranges& inputs, const std::vector<std::string>& outputs, const py::bytes& onnx,
               const std::vector<std::string>& float32_nodes, const std::vector<std::string>& compute_capabilities,
               const py::bytes& timing_cache, bool inspect, const py::object& progress) {
  const EngineRequest request{.flavour = flavour,
                              .folder = folder,
                              .facts = {.model = model,
                                        .stage = stage,
                                        .onnx_sha256 = onnx_sha256,
                                        .precision = precision,
                                        .plugin = plugin,
                                        .inputs = to_inputs(inputs),
                                        .outputs = outputs},
                              .onnx = view_of(onnx),
                              .float32_nodes = float32_nodes,
                              .compute_capabilities = compute_capabilities,
                              .timing_cache = view_of(timing_cache),
                              .inspect = inspect};
  const EngineBuild built = [&] {
    const EngineProgress report = with_gil(progress);
    const py::gil_scoped_release release;
    return build_engine(request, report);
  }();
  return py::dict(py::arg("path") = built.path, py::arg("info") = to_python(built.info),
                  py::arg("timing_cache") = to_bytes(built.timing_cache), py::arg("inspection") = built.inspection);
}

py::list providers() {
  py::list all;
  for (const EngineProvider& entry : list_providers()) {
    all.append(py::dict(py::arg("flavour") = entry.flavour, py::arg("available") = entry.available,
                        py::arg("reason") = entry.reason, py::arg("library_version") = entry.library_version,
                        py::arg("strongly_typed") = entry.strongly_typed,
                        py::arg("largest_opset") = entry.largest_opset));
  }
  return all;
}

}  // namespace

void register_engines(py::module_& module) {
  py::module_ engines = module.def_submodule("engines", "Engine files of the TensorRT backend.");
  engines.def("build", &build, py::call_guard<LongCall>(), py::kw_only(), py::arg("flavour"), py::arg("folder"),
              py::arg("model"), py::arg("stage"), py::arg("onnx_sha256"), py::arg("precision"), py::arg("plugin"),
              py::arg("inputs"), py::arg("outputs"), py::arg("onnx"),
              py::arg("float32_nodes") = std::vector<std::string>(),
              py::arg("compute_capabilities") = std::vector<std::string>(), py::arg("timing_cache") = py::bytes(),
              py::arg("inspect") = false, py::arg("progress") = py::none(),
              "Build an engine and write its file; a dict of path, info, timing_cache and inspection.");
  engines.def(
      "info", [](const std::filesystem::path& path) { return to_python(read_engine_info(path)); }, py::arg("path"),
      "The header of an engine file.");
  engines.def("providers", &providers, "Every flavour of TensorRT, as dicts.");
  engines.def("folder", &engines_folder, py::arg("folder") = "",
              "The folder that is searched for engines: `folder`, or the default one if it is empty.");
}

}  // namespace cardiacseg::python
