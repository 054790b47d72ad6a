#include "backends/tensorrt/provider.h"

#include <string>

#include "backends/tensorrt/provider/builder.h"
#include "backends/tensorrt/provider/engine.h"
#include "backends/tensorrt/provider/library.h"
#include "backends/tensorrt/provider/version.h"

namespace cardiacseg::tensorrt {
namespace {

class TensorRtProvider final : public Provider {
 public:
  std::string cardiacseg_version() const override { return CARDIACSEG_VERSION; }
  std::string flavour() const override { return kRtx ? "tensorrt_rtx" : "tensorrt"; }
  std::string header_version() const override {
    return std::to_string(kMajor) + "." + std::to_string(kMinor) + "." + std::to_string(kPatch);
  }
  std::string library_version() const override { return version_text(inference_library().version); }
  bool strongly_typed() const override { return kStronglyTyped; }
  int largest_opset() const override { return kLargestOpset; }
  std::unique_ptr<Engine> load(const std::string& name, std::span<const std::byte> plan) const override {
    return load_engine(name, plan);
  }
  BuiltEngine build(const BuildRequest& request, const BuildProgress& progress) const override {
    return build_engine(request, progress);
  }
};

}  // namespace
}  // namespace cardiacseg::tensorrt

// kProviderSymbol
extern "C" __attribute__((visibility("default"))) const cardiacseg::tensorrt::Provider* cardiacseg_tensorrt_provider() {
  static const cardiacseg::tensorrt::TensorRtProvider provider;
  return &provider;
}
