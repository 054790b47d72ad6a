#include <utility>

#include "backends/tensorrt/engine_file.h"
#include "backends/tensorrt/engine_header.h"
#include "backends/tensorrt/engine_store.h"
#include "backends/tensorrt/gpu.h"
#include "backends/tensorrt/provider_library.h"
#include "cardiacseg/cardiac_segmenter.h"
#include "cardiacseg/engines.h"
#include "cardiacseg/error.h"

namespace cardiacseg {
namespace {

using namespace tensorrt;

/// Full TensorRT builds for the GPU at hand.
bool builds_for_any_gpu(const std::string& flavour) { return flavour == "tensorrt_rtx"; }

void check(const EngineRequest& request) {
  check_facts(request.facts, "an engine to be built", ErrorCode::invalid_input);
  if (request.onnx.empty()) throw Error(ErrorCode::invalid_input, "an engine to be built: wanted a graph, found none");
  if (!builds_for_any_gpu(request.flavour) && !request.compute_capabilities.empty()) {
    throw Error(ErrorCode::invalid_input,
                "compute capabilities can be chosen for tensorrt_rtx alone; tensorrt builds for the GPU at hand");
  }
}

/// The header, but for the plan's length and digest.
EngineInfo describe(const EngineRequest& request, const Provider& builder) {
  EngineInfo info;
  info.facts = request.facts;
  info.flavour = request.flavour;
  info.library_version = builder.library_version();
  info.version = version();
  info.compute_capabilities = request.compute_capabilities;
  if (!builds_for_any_gpu(request.flavour)) {
    const Gpu gpu = current_gpu();
    info.compute_capabilities = {gpu.compute_capability};
    info.gpu = gpu.name;
  }
  return info;
}

BuildRequest to_build_request(const EngineRequest& request) {
  BuildRequest build;
  build.name = request.facts.model + " " + request.facts.stage;
  build.onnx = request.onnx;
  build.float16 = request.facts.precision == "fp16";
  build.float32_nodes = request.float32_nodes;
  for (const EngineInput& input : request.facts.inputs) {
    build.inputs.push_back({input.name, {input.smallest, input.best, input.largest}});
  }
  build.compute_capabilities = request.compute_capabilities;
  build.timing_cache.assign(request.timing_cache.begin(), request.timing_cache.end());
  build.inspect = request.inspect;
  return build;
}

EngineProvider describe_provider(const std::string& flavour) {
  EngineProvider entry;
  entry.flavour = flavour;
  try {
    const Provider& found = provider(flavour);
    entry.library_version = found.library_version();
    entry.reason = "library " + entry.library_version + ", built with the headers of " + found.header_version();
    entry.strongly_typed = found.strongly_typed();
    entry.largest_opset = found.largest_opset();
    entry.available = true;
  } catch (const Error& error) {
    entry.reason = error.what();
  }
  return entry;
}

}  // namespace

EngineBuild build_engine(const EngineRequest& request, const EngineProgress& progress) {
  check(request);
  const Provider& builder = provider(request.flavour);
  EngineInfo info = describe(request, builder);
  BuiltEngine built = builder.build(to_build_request(request), progress);
  EngineBuild result;
  result.path = request.folder / engine_file_name(info);
  result.info = write_engine_file(result.path, std::move(info), built.plan);
  result.timing_cache = std::move(built.timing_cache);
  result.inspection = std::move(built.inspection);
  return result;
}

std::vector<EngineProvider> list_providers() {
  std::vector<EngineProvider> all;
  for (const std::string& flavour : flavours()) all.push_back(describe_provider(flavour));
  return all;
}

}  // namespace cardiacseg
