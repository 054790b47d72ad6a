#include "backends/tensorrt/provider/builder.h"

#include <memory>
#include <string>

#include "backends/tensorrt/provider/attention_plugin.h"
#include "backends/tensorrt/provider/build_config.h"
#include "backends/tensorrt/provider/engine.h"
#include "backends/tensorrt/provider/library.h"
#include "backends/tensorrt/provider/logger.h"
#include "backends/tensorrt/provider/network.h"
#include "backends/tensorrt/provider/progress.h"
#include "backends/tensorrt/provider/timing_cache.h"
#include "cardiacseg/error.h"

namespace cardiacseg::tensorrt {
namespace {

std::unique_ptr<nvinfer1::IBuilder> make_builder() {
  const Attempt attempt(kRtx ? "cannot start its builder" : "cannot start its builder, which needs a GPU");
  std::unique_ptr<nvinfer1::IBuilder> builder(static_cast<nvinfer1::IBuilder*>(
      attempt.expect(inference_library().create_builder(&logger(), NV_TENSORRT_VERSION))));
  register_attention_plugin(*builder);
  return builder;
}

std::vector<std::byte> build_plan(nvinfer1::IBuilder& builder, nvinfer1::INetworkDefinition& network,
                                  nvinfer1::IBuilderConfig& config, const std::string& name, ProgressReport& report) {
  const Attempt attempt("cannot build the engine " + name);
#ifdef CARDIACSEG_PROGRESS_MONITOR
  ProgressMonitor monitor(report);
  config.setProgressMonitor(&monitor);
#endif
  const std::unique_ptr<nvinfer1::IHostMemory> plan(builder.buildSerializedNetwork(network, config));
#ifdef CARDIACSEG_PROGRESS_MONITOR
  config.setProgressMonitor(nullptr);
#endif
  report.throw_if_stopped(name);
  return bytes_of(*attempt.expect(plan.get()));
}

/// What the engine inspector says; nothing where the engine cannot be read on this machine.
std::string inspect(const std::string& name, std::span<const std::byte> plan) try {
  const std::unique_ptr<nvinfer1::ICudaEngine> engine = deserialize(name, plan);
  const std::unique_ptr<nvinfer1::IEngineInspector> inspector(engine->createEngineInspector());
  const char* text =
      inspector == nullptr ? nullptr : inspector->getEngineInformation(nvinfer1::LayerInformationFormat::kJSON);
  return text == nullptr ? "" : text;
} catch (const Error&) {
  return "";
}

}  // namespace

BuiltEngine build_engine(const BuildRequest& request, const BuildProgress& progress) {
  ProgressReport report(progress);
  report.tell("reading the graph", 0, 1);
  report.throw_if_stopped(request.name);
  const std::unique_ptr<nvinfer1::IBuilder> builder = make_builder();
  const ParsedNetwork parsed = read_network(*builder, request);
  const std::unique_ptr<nvinfer1::IBuilderConfig> config = make_config(*builder, *parsed.network, request);
  const TimingCache cache(*config, request.timing_cache);
  report.tell("reading the graph", 1, 1);
  report.throw_if_stopped(request.name);
  BuiltEngine built;
  built.plan = build_plan(*builder, *parsed.network, *config, request.name, report);
  built.timing_cache = cache.bytes();
  if (request.inspect) built.inspection = inspect(request.name, built.plan);
  return built;
}

}  // namespace cardiacseg::tensorrt
