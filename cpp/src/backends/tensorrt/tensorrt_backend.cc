#include "backends/tensorrt/tensorrt_backend.h"

#include <map>
#include <mutex>
#include <tuple>
#include <utility>

#include "backends/tensorrt/engine_file.h"
#include "backends/tensorrt/provider_library.h"
#include "cardiacseg/error.h"
#include "cuda/device.h"
#include "files/sha256.h"

namespace cardiacseg {
namespace tensorrt {
namespace {

/// An engine that several networks share; the provider's own network holds it.
struct LoadedEngine {
  std::filesystem::path path;
  std::string gpu;
  std::unique_ptr<DeviceNetwork> network;
};

/// One of the networks of an engine. That it is verified is noted in the engine's file.
class SharedNetwork final : public DeviceNetwork {
 public:
  explicit SharedNetwork(std::shared_ptr<const LoadedEngine> engine) : engine_(std::move(engine)) {}

  const std::vector<std::string>& outputs() const override { return network().outputs(); }
  void run(const TensorView& input, std::span<const MutableTensorView> results, const KeepGoing& go) const override {
    network().run(input, results, go);
  }
  std::int64_t max_frames() const override { return network().max_frames(); }
  Precision precision() const override { return network().precision(); }
  bool verified() const override { return network().verified(); }
  void mark_verified() const override {
    network().mark_verified();
    try {
      note_verified(engine_->path, engine_->gpu);
    } catch (const Error&) {
      // A folder that may not be written: the note lives as long as the engine.
    }
  }
  std::unique_ptr<DeviceExecution> prepare(const std::vector<std::int64_t>& shape) const override {
    return network().prepare(shape);
  }

 private:
  const DeviceNetwork& network() const { return *engine_->network; }

  std::shared_ptr<const LoadedEngine> engine_;
};

/// The network of an engine file on `gpu`, loaded unless this process has loaded it and still uses it. `found` is its
/// header. Throws Error(backend).
std::unique_ptr<DeviceNetwork> load_engine(const Provider& provider, const EngineArtifact& found, const Gpu& gpu) {
  static std::mutex mutex;
  static std::map<std::tuple<std::string, std::string, int>, std::weak_ptr<const LoadedEngine>> known;
  const std::lock_guard lock(mutex);
  std::weak_ptr<const LoadedEngine>& entry = known[{found.path.string(), found.info.plan_sha256, gpu.index}];
  std::shared_ptr<const LoadedEngine> loaded = entry.lock();
  if (!loaded) {
    loaded = std::make_shared<const LoadedEngine>(
        LoadedEngine{found.path, gpu.name, provider.load_engine(read_engine_file(found.path))});
    entry = loaded;
  }
  // Another process may have verified it since.
  if (verified_on(found.info, gpu.name)) loaded->network->mark_verified();
  return std::make_unique<SharedNetwork>(std::move(loaded));
}

class TensorRtBackend final : public DeviceBackend {
 public:
  TensorRtBackend(const std::string& flavor, const std::filesystem::path& engines, std::string precision)
      : provider_(provider(flavor)), engines_(engines_folder(engines)), precision_(std::move(precision)) {}

  std::string name() const override { return provider_.facts().flavor; }

  /// What a network was built for says how many it takes at most (DeviceNetwork::max_frames).
  std::int64_t frames_per_call(std::int64_t) const override { return 1; }

  std::unique_ptr<Network> load(const std::string& name, std::span<const std::byte> onnx) const override {
    return load_on_device(name, onnx);
  }

  std::unique_ptr<DeviceNetwork> load_on_device(const std::string& name,
                                                std::span<const std::byte> onnx) const override {
    const Gpu gpu = current_gpu();
    const EngineSpec spec{.network = name,
                          .onnx_sha256 = sha256(onnx),
                          .flavor = provider_.facts().flavor,
                          .library_version = provider_.library_version(),
                          .compute_capability = gpu.compute_capability,
                          .gpu = gpu.name,
                          .precision = precision_};
    return load_engine(provider_, find_engine(engines_, spec), gpu);
  }

 private:
  const Provider& provider_;
  std::filesystem::path engines_;
  std::string precision_;
};

}  // namespace

Gpu current_gpu() {
  if (const std::string why = cuda::why_no_device(); !why.empty()) throw Error(ErrorCode::backend, why);
  try {
    const cuda::Device device = cuda::current_device();
    return {device.index, device.name, std::to_string(device.major) + "." + std::to_string(device.minor)};
  } catch (const cuda::CudaError& error) {
    throw Error(ErrorCode::backend, std::string("the GPU does not answer: ") + error.what());
  }
}

}  // namespace tensorrt

std::unique_ptr<DeviceBackend> make_tensorrt_backend(const std::string& flavor, const std::filesystem::path& engines,
                                                     const std::string& precision) {
  describe_tensorrt(flavor);
  return std::make_unique<tensorrt::TensorRtBackend>(flavor, engines, precision);
}

std::string describe_tensorrt(const std::string& flavor) {
  const std::string product = flavor == "tensorrt_rtx" ? "TensorRT-RTX" : "TensorRT";
  try {
    const tensorrt::Gpu gpu = tensorrt::current_gpu();
    const std::string version = tensorrt::provider(flavor).library_version();
    return product + " " + version + " on " + gpu.name + " (compute capability " + gpu.compute_capability + ")";
  } catch (const Error& error) {
    const std::string message = error.what();
    throw Error(error.code(), message.starts_with(product) ? message : product + ": " + message);
  }
}

}  // namespace cardiacseg
