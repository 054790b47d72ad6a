#include "backends/tensorrt/provider/build_config.h"

#include <algorithm>
#include <string>

#include "backends/tensorrt/provider/dims.h"
#include "backends/tensorrt/provider/library.h"
#include "backends/tensorrt/provider/logger.h"
#include "cardiacseg/error.h"

namespace cardiacseg::tensorrt {
namespace {

void set_precision(nvinfer1::IBuilderConfig& config, [[maybe_unused]] const BuildRequest& request) {
  config.clearFlag(nvinfer1::BuilderFlag::kTF32);  // set by default: it would round what is to stay in 32 bits
#if CARDIACSEG_TENSORRT_API < 1000
  if (!request.float16) return;
  config.setFlag(nvinfer1::BuilderFlag::kFP16);
  config.setFlag(nvinfer1::BuilderFlag::kOBEY_PRECISION_CONSTRAINTS);
#endif
}

void set_version_specifics([[maybe_unused]] nvinfer1::IBuilderConfig& config) {
#ifdef TRT_MAJOR_RTX
  // All memory is the user's, so that the engine can be part of a captured graph.
  config.setFlag(nvinfer1::BuilderFlag::kREQUIRE_USER_ALLOCATION);
#elif CARDIACSEG_TENSORRT_API < 1000
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

const BuildRequest::Input& input_of(const BuildRequest& request, const std::string& name) {
  const auto found = std::find_if(request.inputs.begin(), request.inputs.end(),
                                  [&](const BuildRequest::Input& input) { return input.name == name; });
  if (found != request.inputs.end()) return *found;
  throw Error(ErrorCode::backend,
              "the graph " + request.name + " has an input " + name + ", wanted a range of shapes for it, got none");
}

void set_shapes(nvinfer1::IBuilder& builder, nvinfer1::IBuilderConfig& config,
                const nvinfer1::INetworkDefinition& network, const BuildRequest& request) {
  using Selector = nvinfer1::OptProfileSelector;
  const Attempt attempt("does not take the shapes asked for in " + request.name);
  nvinfer1::IOptimizationProfile& profile = *attempt.expect(builder.createOptimizationProfile());
  for (std::int32_t index = 0; index < network.getNbInputs(); ++index) {
    const char* name = network.getInput(index)->getName();
    const ShapeRange& range = input_of(request, name).range;
    attempt.expect(profile.setDimensions(name, Selector::kMIN, dims_of(name, range.smallest)));
    attempt.expect(profile.setDimensions(name, Selector::kOPT, dims_of(name, range.best)));
    attempt.expect(profile.setDimensions(name, Selector::kMAX, dims_of(name, range.largest)));
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
  throw Error(ErrorCode::backend, "wanted a compute capability such as 8.6, got " + text);
}

void set_compute_capabilities(nvinfer1::IBuilderConfig& config, const BuildRequest& request) {
  const std::vector<std::string>& wanted = request.compute_capabilities;
  if (wanted.empty()) return;
  const auto count = static_cast<std::int32_t>(wanted.size());
  Attempt("does not build for " + std::to_string(count) + " compute capabilities")
      .expect(config.setNbComputeCapabilities(count));
  for (std::int32_t index = 0; index < count; ++index) {
    const std::string& one = wanted[static_cast<std::size_t>(index)];
    const Attempt attempt(version_text(inference_library().version) + " does not build for the compute capability " +
                          one);
    attempt.expect(config.setComputeCapability(capability_of(one), index));
  }
}
#else
void set_compute_capabilities(nvinfer1::IBuilderConfig&, const BuildRequest& request) {
  if (request.compute_capabilities.empty()) return;
  throw Error(ErrorCode::backend, "TensorRT builds for the GPU that it runs on: wanted no compute capabilities, got " +
                                      request.compute_capabilities.front());
}
#endif

}  // namespace

std::unique_ptr<nvinfer1::IBuilderConfig> make_config(nvinfer1::IBuilder& builder,
                                                      const nvinfer1::INetworkDefinition& network,
                                                      const BuildRequest& request) {
  const Attempt attempt("cannot start a build of " + request.name);
  std::unique_ptr<nvinfer1::IBuilderConfig> config(attempt.expect(builder.createBuilderConfig()));
  if (request.inspect) config->setProfilingVerbosity(nvinfer1::ProfilingVerbosity::kDETAILED);
  set_precision(*config, request);
  set_version_specifics(*config);
  set_compute_capabilities(*config, request);
  set_shapes(builder, *config, network, request);
  return config;
}

}  // namespace cardiacseg::tensorrt
