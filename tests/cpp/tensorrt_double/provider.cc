// A provider library for tests: its engines are the graphs that it is given, and OpenVINO runs them, as work on the
// (simulated) stream. Compiled once for each flavour.

#include "backends/tensorrt/provider.h"

#include <set>
#include <string>

#include "cardiacseg/error.h"
#include "engine.h"
#include "graph.h"
#include "plan.h"
#include "wishes.h"

namespace cardiacseg::tensorrt::test {
namespace {

constexpr const char* kFlavour = CARDIACSEG_FLAVOUR;

[[noreturn]] void refuse(const BuildRequest& request, const std::string& wanted) {
  throw Error(ErrorCode::backend, "engine " + request.name + ": the double wanted " + wanted);
}

std::shared_ptr<ov::Model> read(const BuildRequest& request) {
  try {
    return read_graph({reinterpret_cast<const char*>(request.onnx.data()), request.onnx.size()});
  } catch (const std::exception& error) {
    refuse(request, std::string("a graph that can be read, which says: ") + error.what());
  }
}

/// That each input has a range, and no other.
void check_inputs(const BuildRequest& request, const ov::Model& graph) {
  std::set<std::string> wanted;
  for (const auto& port : graph.inputs()) wanted.insert(port.get_any_name());
  std::set<std::string> found;
  for (const BuildRequest::Input& input : request.inputs) {
    found.insert(input.name);
    if (!contains(input.range, input.range.smallest) || !contains(input.range, input.range.best)) {
      refuse(request, "smallest <= best <= largest of " + input.name);
    }
  }
  if (found != wanted) refuse(request, "a range for each input of the graph, and no other");
}

void check_types(const BuildRequest& request, const ov::Model& graph, bool strong) {
  const auto check = [&](const auto& port) {
    const bool starts = port.get_any_name() == "cu_slices";
    if (port.get_element_type() != (starts ? ov::element::i32 : ov::element::f32)) {
      refuse(request, "inputs and outputs of float32, and cu_slices of int32");
    }
  };
  for (const auto& port : graph.inputs()) check(port);
  for (const auto& port : graph.outputs()) check(port);
  if (strong && !request.float32_nodes.empty()) refuse(request, "no float32_nodes where types are strong");
}

/// Nodes of the graph, in place of an engine's layers.
std::string inspect(const ov::Model& graph) {
  std::string names;
  for (const auto& node : graph.get_ordered_ops()) {
    names += (names.empty() ? "\"" : ", \"") + std::string(node->get_type_name()) + "\"";
  }
  return "{\"Layers\": [" + names + "]}";
}

void tell(const BuildProgress& progress, const std::string& phase, int step, int steps) {
  if (progress && !progress(phase, step, steps)) throw Error(ErrorCode::cancelled, "the build was stopped");
}

std::vector<std::byte> to_bytes(const std::string& text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

class DoubleProvider : public Provider {
 public:
  std::string cardiacseg_version() const override { return told_to("other_version") ? "0.0.1" : CARDIACSEG_VERSION; }
  std::string flavour() const override { return told_to("other_flavour") ? "tensorflow" : kFlavour; }
  std::string header_version() const override { return "10.16.0"; }
  std::string library_version() const override {
    if (told_to("no_library")) throw Error(ErrorCode::backend, "wanted libnvinfer.so.10, found none");
    return "10.16.0-double";
  }
  bool strongly_typed() const override { return !told_to("weakly_typed"); }
  int largest_opset() const override { return told_to("weakly_typed") ? 17 : 20; }

  std::unique_ptr<Engine> load(const std::string& name, std::span<const std::byte> plan) const override {
    return load_engine(name, plan);
  }

  BuiltEngine build(const BuildRequest& request, const BuildProgress& progress) const override {
    note("build " + request.name + (request.float16 ? " float16" : " float32") + " timing_cache " +
         std::to_string(request.timing_cache.size()));
    tell(progress, "reading the graph", 0, 1);
    const std::shared_ptr<ov::Model> graph = read(request);
    check_inputs(request, *graph);
    check_types(request, *graph, strongly_typed());
    if (told_to("build_fails")) refuse(request, "to fail");
    for (int step = 0; step <= 3; ++step) tell(progress, "building", step, 3);
    Plan plan{{}, {reinterpret_cast<const char*>(request.onnx.data()), request.onnx.size()}};
    for (const BuildRequest::Input& input : request.inputs) plan.ranges[input.name] = input.range;
    return {encode(plan), to_bytes("timings of " + request.name), request.inspect ? inspect(*graph) : ""};
  }
};

}  // namespace
}  // namespace cardiacseg::tensorrt::test

extern "C" __attribute__((visibility("default"))) const cardiacseg::tensorrt::Provider* cardiacseg_tensorrt_provider();

const cardiacseg::tensorrt::Provider* cardiacseg_tensorrt_provider() {
  static const cardiacseg::tensorrt::test::DoubleProvider provider;
  return &provider;
}
