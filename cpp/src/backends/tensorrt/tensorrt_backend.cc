#include "backends/tensorrt/tensorrt_backend.h"

#include <utility>

#include "backends/tensorrt/provider_library.h"
#include "backends/tensorrt/tensorrt_network.h"
#include "cardiacseg/error.h"
#include "files/sha256.h"

namespace cardiacseg {
namespace {

using namespace tensorrt;

std::string product(const std::string& flavour) { return flavour == "tensorrt_rtx" ? "TensorRT-RTX" : "TensorRT"; }

class TensorRtBackend : public DeviceBackend {
 public:
  TensorRtBackend(const std::string& flavour, const std::filesystem::path& engines, std::string precision)
      : provider_(provider(flavour)), engines_(engines_folder(engines)), precision_(std::move(precision)) {}

  std::string name() const override { return provider_.flavour(); }

  /// What a network was built for says how many it takes at most (DeviceNetwork::max_frames).
  std::int64_t frames_per_call(std::int64_t) const override { return 1; }

  std::unique_ptr<Network> load(const std::string& name, std::span<const std::byte> onnx) const override {
    return load_on_device(name, onnx);
  }

  std::unique_ptr<DeviceNetwork> load_on_device(const std::string& name,
                                                std::span<const std::byte> onnx) const override {
    const Gpu gpu = current_gpu();
    const EngineKey key{.network = name,
                        .onnx_sha256 = sha256(onnx),
                        .flavour = provider_.flavour(),
                        .library_version = provider_.library_version(),
                        .compute_capability = gpu.compute_capability,
                        .gpu = gpu.name,
                        .precision = precision_};
    return std::make_unique<TensorRtNetwork>(name, load_engine(provider_, find_engine(engines_, key), gpu));
  }

 private:
  const Provider& provider_;
  std::filesystem::path engines_;
  std::string precision_;
};

}  // namespace

std::unique_ptr<DeviceBackend> make_tensorrt_backend(const std::string& flavour, const std::filesystem::path& engines,
                                                     const std::string& precision) {
  describe_tensorrt(flavour);
  return std::make_unique<TensorRtBackend>(flavour, engines, precision);
}

std::string describe_tensorrt(const std::string& flavour) {
  const std::string what = product(flavour);
  try {
    const Gpu gpu = current_gpu();
    const std::string version = provider(flavour).library_version();
    return what + " " + version + " on " + gpu.name + " (compute capability " + gpu.compute_capability + ")";
  } catch (const Error& error) {
    const std::string message = error.what();
    throw Error(error.code(), message.starts_with(what) ? message : what + ": " + message);
  }
}

}  // namespace cardiacseg
