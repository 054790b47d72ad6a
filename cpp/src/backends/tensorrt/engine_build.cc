// Public functions of the build: check the request, let the provider build, write the file.

#include <utility>

#include "backends/tensorrt/engine_file.h"
#include "backends/tensorrt/provider_library.h"
#include "backends/tensorrt/tensorrt_backend.h"
#include "cardiacseg/cardiac_segmenter.h"
#include "cardiacseg/engines.h"
#include "cardiacseg/error.h"

namespace cardiacseg {
namespace {

using namespace tensorrt;

/// Full TensorRT builds for the GPU at hand.
bool builds_for_any_gpu(const std::string& flavor) { return flavor == "tensorrt_rtx"; }

void check(const EngineRequest& request) {
  check_facts(request.facts, "an engine to be built", ErrorCode::invalid_input);
  if (request.onnx.empty()) throw Error(ErrorCode::invalid_input, "an engine to be built: expected a graph, got none");
  if (!builds_for_any_gpu(request.flavour) && !request.compute_capabilities.empty()) {
    throw Error(ErrorCode::invalid_input,
                "compute capabilities can be chosen for tensorrt_rtx alone; tensorrt builds for the GPU at hand");
  }
}

/// The header without the plan's length and digest.
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

EngineProvider describe_provider(const std::string& flavor) {
  EngineProvider entry;
  entry.flavour = flavor;
  try {
    const Provider& found = provider(flavor);
    const ProviderFacts facts = found.facts();
    entry.library_version = library_version(flavor);
    entry.reason = "library " + entry.library_version + ", built with the headers of " + facts.header_version;
    entry.strongly_typed = facts.strongly_typed;
    entry.largest_opset = facts.largest_opset;
    entry.available = true;
  } catch (const Error& error) {
    entry.reason = error.what();
  }
  return entry;
}

}  // namespace

EngineBuild build_engine(const EngineRequest& request, const EngineProgress& progress) {
  check(request);
  const Provider& builder = opened_provider(request.flavour);
  EngineInfo info = describe(request, builder);
  BuiltEngine built = builder.build_engine(request, progress);
  EngineBuild result;
  result.path = request.folder / engine_file_name(info);
  result.info = write_engine_file(result.path, std::move(info), built.plan);
  result.timing_cache = std::move(built.timing_cache);
  result.inspection = std::move(built.inspection);
  return result;
}

std::vector<EngineProvider> list_providers() {
  std::vector<EngineProvider> all;
  for (const std::string& flavor : flavors()) all.push_back(describe_provider(flavor));
  return all;
}

}  // namespace cardiacseg
