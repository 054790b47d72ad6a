#include "backends/tensorrt/provider.h"

#include "backends/tensorrt/provider/engine.h"
#include "backends/tensorrt/provider/library.h"

namespace cardiacseg::tensorrt {
namespace {

class TensorRtProvider final : public Provider {
 public:
  ProviderFacts facts() const override {
    return {kRtx ? "tensorrt_rtx" : "tensorrt",
            std::to_string(kMajor) + "." + std::to_string(kMinor) + "." + std::to_string(kPatch), kStronglyTyped,
            kLargestOpset};
  }
  std::string library_version() const override { return version_text(inference_library().version); }
  std::unique_ptr<DeviceNetwork> load_engine(const EngineArtifact& artifact) const override {
    return tensorrt::load_engine(artifact);
  }
  BuiltEngine build_engine(const EngineRequest& request, const EngineProgress& progress) const override {
    return tensorrt::build_engine(request, progress);
  }
};

}  // namespace
}  // namespace cardiacseg::tensorrt

// kProviderSymbol
extern "C" __attribute__((visibility("default"))) std::uint32_t cardiacseg_open_provider(
    std::uint32_t version, const cardiacseg::tensorrt::Provider** provider) {
  static const cardiacseg::tensorrt::TensorRtProvider instance;
  if (version == cardiacseg::tensorrt::kInterfaceVersion) *provider = &instance;
  return cardiacseg::tensorrt::kInterfaceVersion;
}
