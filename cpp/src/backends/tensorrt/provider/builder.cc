#include <algorithm>

#include "backends/tensorrt/provider/attention_plugin.h"
#include "backends/tensorrt/provider/engine.h"
#include "backends/tensorrt/provider/library.h"
#include "backends/tensorrt/provider/logger.h"
#include "backends/tensorrt/provider/progress.h"
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

void set_flags(nvinfer1::IBuilderConfig& config, [[maybe_unused]] const EngineRequest& request) {
  if (request.inspect) config.setProfilingVerbosity(nvinfer1::ProfilingVerbosity::kDETAILED);
  config.clearFlag(nvinfer1::BuilderFlag::kTF32);  // set by default: it would round what is to stay in 32 bits
#ifdef TRT_MAJOR_RTX
  // All memory is the user's, so that the engine can be part of a captured graph.
  config.setFlag(nvinfer1::BuilderFlag::kREQUIRE_USER_ALLOCATION);
#elif CARDIACSEG_TENSORRT_API < 1000
  if (request.facts.precision == "fp16") {
    config.setFlag(nvinfer1::BuilderFlag::kFP16);
    config.setFlag(nvinfer1::BuilderFlag::kOBEY_PRECISION_CONSTRAINTS);
  }
  // Without cuBLAS and cuDNN, which need not be there.
  using Source = nvinfer1::TacticSource;
  config.setTacticSources(1U << static_cast<std::uint32_t>(Source::kEDGE_MASK_CONVOLUTIONS) |
                          1U << static_cast<std::uint32_t>(Source::kJIT_CONVOLUTIONS));
#if CARDIACSEG_TENSORRT_API >= 806
  // Contexts share the profile; from 10 on they always do.
  config.setPreviewFeature(nvinfer1::PreviewFeature::kPROFILE_SHARING_0806, true);
#endif
#endif
}

const EngineInput& input_of(const EngineRequest& request, const std::string& name) {
  const std::vector<EngineInput>& inputs = request.facts.inputs;
  const auto found =
      std::find_if(inputs.begin(), inputs.end(), [&](const EngineInput& input) { return input.name == name; });
  if (found != inputs.end()) return *found;
  throw Error(ErrorCode::backend, "the graph " + name_of(request) + " has an input " + name +
                                      ", expected a range of shapes for it, got none");
}

void set_shapes(nvinfer1::IBuilder& builder, nvinfer1::IBuilderConfig& config,
                const nvinfer1::INetworkDefinition& network, const EngineRequest& request) {
  using Selector = nvinfer1::OptProfileSelector;
  const Attempt attempt("does not take the shapes asked for in " + name_of(request));
  nvinfer1::IOptimizationProfile& profile = *attempt.expect(builder.createOptimizationProfile());
  for (std::int32_t index = 0; index < network.getNbInputs(); ++index) {
    const char* name = network.getInput(index)->getName();
    const EngineInput& input = input_of(request, name);
    attempt.expect(profile.setDimensions(name, Selector::kMIN, dims_of(name, input.smallest)));
    attempt.expect(profile.setDimensions(name, Selector::kOPT, dims_of(name, input.best)));
    attempt.expect(profile.setDimensions(name, Selector::kMAX, dims_of(name, input.largest)));
  }
  attempt.expect(config.addOptimizationProfile(&profile) >= 0);
}

#ifdef TRT_MAJOR_RTX
/// 86 of "8.6".
nvinfer1::ComputeCapability capability_of(const std::string& text) {
  const std::size_t dot = text.find('.');
  const std::string digits = dot == std::string::npos ? "" : text.substr(0, dot) + text.substr(dot + 1);
  if (dot > 0 && dot + 2 == text.size() && digits.size() <= 4 &&
      digits.find_first_not_of("0123456789") == std::string::npos) {
    return static_cast<nvinfer1::ComputeCapability>(std::stoi(digits));
  }
  throw Error(ErrorCode::backend, "expected a compute capability such as 8.6, got " + text);
}

void set_compute_capabilities(nvinfer1::IBuilderConfig& config, const std::vector<std::string>& requested) {
  if (requested.empty()) return;
  const auto count = static_cast<std::int32_t>(requested.size());
  Attempt("does not build for " + std::to_string(count) + " compute capabilities")
      .expect(config.setNbComputeCapabilities(count));
  for (std::int32_t index = 0; index < count; ++index) {
    const std::string& one = requested[static_cast<std::size_t>(index)];
    const Attempt attempt(version_text(inference_library().version) + " does not build for the compute capability " +
                          one);
    attempt.expect(config.setComputeCapability(capability_of(one), index));
  }
}
#else
void set_compute_capabilities(nvinfer1::IBuilderConfig&, const std::vector<std::string>& requested) {
  if (requested.empty()) return;
  throw Error(
      ErrorCode::backend,
      "TensorRT builds for the GPU that it runs on: expected no compute capabilities, got " + requested.front());
}
#endif

std::vector<std::byte> bytes_of(const nvinfer1::IHostMemory& memory) {
  const auto* first = static_cast<const std::byte*>(memory.data());
  return {first, first + memory.size()};
}

/// Measured times of single layers, for the next build. TensorRT-RTX, which measures nothing, has none.
#ifdef TRT_MAJOR_RTX
struct TimingCache {
  TimingCache(nvinfer1::IBuilderConfig&, std::span<const std::byte>) {}
  static std::vector<std::byte> bytes() { return {}; }
};
#else
class TimingCache {
 public:
  /// `config` uses the cache in `bytes`, or an empty one if that is of another version or GPU, while this lives.
  TimingCache(nvinfer1::IBuilderConfig& config, std::span<const std::byte> bytes) {
    for (const std::size_t size : {bytes.size(), std::size_t{0}}) {
      cache_.reset(config.createTimingCache(bytes.data(), size));
      if (cache_ != nullptr && config.setTimingCache(*cache_, false)) return;
    }
    cache_.reset();
  }

  std::vector<std::byte> bytes() const {
    const std::unique_ptr<nvinfer1::IHostMemory> memory(cache_ == nullptr ? nullptr : cache_->serialize());
    return memory == nullptr ? std::vector<std::byte>() : bytes_of(*memory);
  }

 private:
  std::unique_ptr<nvinfer1::ITimingCache> cache_;
};
#endif

std::vector<std::byte> build_plan(nvinfer1::IBuilder& builder, nvinfer1::INetworkDefinition& network,
                                  nvinfer1::IBuilderConfig& config, const std::string& name, BuildReport& report) {
  const Attempt attempt("cannot build the engine " + name);
#ifdef CARDIACSEG_PROGRESS_MONITOR
  config.setProgressMonitor(&report);
#endif
  const std::unique_ptr<nvinfer1::IHostMemory> plan(builder.buildSerializedNetwork(network, config));
#ifdef CARDIACSEG_PROGRESS_MONITOR
  config.setProgressMonitor(nullptr);
#endif
  report.throw_if_stopped(name);
  return bytes_of(*attempt.expect(plan.get()));
}

/// What the engine inspector says; nothing if the engine cannot be read on this machine.
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

BuiltEngine build_engine(const EngineRequest& request, const EngineProgress& progress) {
  const std::string name = name_of(request);
  BuildReport report(progress);
  report.tell("reading the graph", 0, 1);
  report.throw_if_stopped(name);
  const std::unique_ptr<nvinfer1::IBuilder> builder = make_builder();
  const ParsedNetwork parsed = parse_graph(*builder, request);
  const std::unique_ptr<nvinfer1::IBuilderConfig> config(
      Attempt("cannot start a build of " + name).expect(builder->createBuilderConfig()));
  set_flags(*config, request);
  set_compute_capabilities(*config, request.compute_capabilities);
  set_shapes(*builder, *config, *parsed.network, request);
  const TimingCache cache(*config, request.timing_cache);
  report.tell("reading the graph", 1, 1);
  report.throw_if_stopped(name);
  BuiltEngine built;
  built.plan = build_plan(*builder, *parsed.network, *config, name, report);
  built.timing_cache = cache.bytes();
  if (request.inspect) built.inspection = inspect(name, built.plan);
  return built;
}

}  // namespace cardiacseg::tensorrt
