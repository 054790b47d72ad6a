// A provider library for tests: its engines are the graphs that it is given, and OpenVINO runs them, as work on the
// (simulated) stream. Compiled once for each flavor.

#include "backends/tensorrt/provider.h"

#include <csignal>
#include <set>
#include <string>

#include "cardiacseg/error.h"
#include "graph.h"
#include "network.h"
#include "options.h"
#include "plan.h"

namespace cardiacseg::tensorrt::fake {
namespace {

constexpr const char* kFlavor = CARDIACSEG_FLAVOR;
constexpr const char* kVersion = "10.16.0-fake";

std::string name_of(const EngineRequest& request) { return request.facts.model + " " + request.facts.stage; }

[[noreturn]] void refuse(const EngineRequest& request, const std::string& wanted) {
  throw Error(ErrorCode::backend, "engine " + name_of(request) + ": the fake expected " + wanted);
}

std::shared_ptr<ov::Model> read(const EngineRequest& request) {
  try {
    return read_graph({reinterpret_cast<const char*>(request.onnx.data()), request.onnx.size()});
  } catch (const std::exception& error) {
    refuse(request, std::string("a graph that can be read, which says: ") + error.what());
  }
}

/// That each input has a range, and no other.
void check_inputs(const EngineRequest& request, const ov::Model& graph) {
  std::set<std::string> wanted;
  for (const auto& port : graph.inputs()) wanted.insert(port.get_any_name());
  std::set<std::string> found;
  for (const EngineInput& input : request.facts.inputs) {
    found.insert(input.name);
    if (!contains(input, input.smallest) || !contains(input, input.best)) {
      refuse(request, "smallest <= best <= largest of " + input.name);
    }
  }
  if (found != wanted) refuse(request, "a range for each input of the graph, and no other");
}

void check_types(const EngineRequest& request, const ov::Model& graph, bool strong) {
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

void tell(const EngineProgress& progress, const std::string& phase, int step, int steps) {
  if (progress && !progress(phase, step, steps)) throw Error(ErrorCode::cancelled, "the build was stopped");
}

std::vector<std::byte> to_bytes(const std::string& text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

class FakeProvider : public Provider {
 public:
  ProviderFacts facts() const override {
    const bool weak = told_to("weakly_typed");
    return {told_to("other_flavor") ? "tensorflow" : kFlavor, "10.16.0", !weak, weak ? 17 : 20};
  }
  std::string library_version() const override {
    if (told_to("crashes")) raise(SIGSEGV);
    if (told_to("no_library")) throw Error(ErrorCode::backend, "expected libnvinfer.so.10, got none");
    return kVersion;
  }
  std::unique_ptr<DeviceNetwork> load_engine(const EngineArtifact& artifact) const override {
    return fake::load_engine(artifact);
  }
  BuiltEngine build_engine(const EngineRequest& request, const EngineProgress& progress) const override {
    note("build " + name_of(request) + " " + request.facts.precision + " timing_cache " +
         std::to_string(request.timing_cache.size()));
    tell(progress, "reading the graph", 0, 1);
    const std::shared_ptr<ov::Model> graph = read(request);
    check_inputs(request, *graph);
    check_types(request, *graph, facts().strongly_typed);
    if (told_to("build_fails"))
      throw Error(ErrorCode::backend, "engine " + name_of(request) + ": the fake was told to fail");
    for (int step = 0; step <= 3; ++step) tell(progress, "building", step, 3);
    const Plan plan{request.facts.inputs, {reinterpret_cast<const char*>(request.onnx.data()), request.onnx.size()}};
    return {encode(plan), to_bytes("timings of " + name_of(request)), request.inspect ? inspect(*graph) : ""};
  }
};

}  // namespace
}  // namespace cardiacseg::tensorrt::fake

extern "C" __attribute__((visibility("default"))) std::uint32_t cardiacseg_open_provider(
    std::uint32_t wanted, const cardiacseg::tensorrt::Provider** provider);

std::uint32_t cardiacseg_open_provider(std::uint32_t wanted, const cardiacseg::tensorrt::Provider** provider) {
  static const cardiacseg::tensorrt::fake::FakeProvider instance;
  const bool other = cardiacseg::tensorrt::fake::told_to("other_interface");
  const std::uint32_t own = cardiacseg::tensorrt::kInterfaceVersion + (other ? 1 : 0);
  if (wanted == own) *provider = &instance;
  return own;
}
