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

/// The engines that this process has loaded and still uses. Callers hold entries_mutex().
std::weak_ptr<const LoadedEngine>& entry_of(const EngineArtifact& found, const Gpu& gpu) {
  static std::map<std::tuple<std::string, std::string, int>, std::weak_ptr<const LoadedEngine>> known;
  return known[{found.path.string(), found.info.plan_sha256, gpu.index}];
}

std::mutex& entries_mutex() {
  static std::mutex mutex;
  return mutex;
}

/// The network of an engine file on `gpu`, loaded unless it is. `found` is its header. Throws Error(backend).
std::unique_ptr<DeviceNetwork> load_engine(const Provider& provider, const EngineArtifact& found, const Gpu& gpu) {
  const std::lock_guard lock(entries_mutex());
  std::weak_ptr<const LoadedEngine>& entry = entry_of(found, gpu);
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

/// Verified as its file says, or by this process if the file could not be written.
bool is_verified(const EngineArtifact& found, const Gpu& gpu) {
  if (verified_on(found.info, gpu.name)) return true;
  const std::lock_guard lock(entries_mutex());
  const std::shared_ptr<const LoadedEngine> loaded = entry_of(found, gpu).lock();
  return loaded != nullptr && loaded->network->verified();
}

/// The engine that `choice` takes on `gpu`, of any library version if `version` is empty. Reads headers alone.
EngineArtifact chosen_engine(const EngineChoice& choice, const std::string& stage, std::span<const std::byte> onnx,
                             const Gpu& gpu, const std::string& version) {
  return find_engine(engines_folder(choice.folder), {.network = stage,
                                                     .onnx_sha256 = sha256(onnx),
                                                     .flavor = choice.flavor,
                                                     .library_version = version,
                                                     .compute_capability = gpu.compute_capability,
                                                     .gpu = gpu.name,
                                                     .precision = choice.precision});
}

class TensorRtBackend final : public DeviceBackend {
 public:
  explicit TensorRtBackend(EngineChoice choice) : choice_(std::move(choice)) {}

  std::string name() const override { return choice_.flavor; }

  /// What a network was built for says how many it takes at most (DeviceNetwork::max_frames).
  std::int64_t frames_per_call(std::int64_t) const override { return 1; }

  std::unique_ptr<Network> load(const std::string& name, std::span<const std::byte> onnx) const override {
    return load_on_device(name, onnx);
  }

  std::unique_ptr<DeviceNetwork> load_on_device(const std::string& name,
                                                std::span<const std::byte> onnx) const override {
    const Gpu gpu = current_gpu();
    const std::string version = library_version(choice_.flavor);
    return load_engine(opened_provider(choice_.flavor), chosen_engine(choice_, name, onnx, gpu, version), gpu);
  }

 private:
  EngineChoice choice_;
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

std::shared_ptr<const void> use_gpu(int index) {
  const int count = cuda::device_count();
  if (count == 0) return nullptr;
  const std::string asked = "device 'cuda:" + std::to_string(index) + "' was asked for, but ";
  if (index >= count) {
    throw Error(ErrorCode::backend, asked + "the last GPU here is 'cuda:" + std::to_string(count - 1) + "'");
  }
  try {
    return std::make_shared<const cuda::DeviceScope>(index);
  } catch (const cuda::CudaError& error) {
    throw Error(ErrorCode::backend, asked + "that GPU does not answer: " + error.what());
  }
}

}  // namespace tensorrt

namespace {

/// What `action` gives; an Error starts with the product's name.
template <class Action>
auto about(const std::string& product, Action&& action) {
  try {
    return action();
  } catch (const Error& error) {
    const std::string message = error.what();
    throw Error(error.code(), message.starts_with(product) ? message : product + ": " + message);
  }
}

std::string product_of(const std::string& flavor) { return flavor == "tensorrt_rtx" ? "TensorRT-RTX" : "TensorRT"; }

}  // namespace

std::string describe_tensorrt(const std::string& flavor) {
  const std::string product = product_of(flavor);
  return about(product, [&] {
    const tensorrt::Gpu gpu = tensorrt::current_gpu();
    return product + " " + tensorrt::library_version(flavor) + " on " + gpu.name + " (compute capability " +
           gpu.compute_capability + ")";
  });
}

std::unique_ptr<DeviceBackend> make_tensorrt_backend(EngineChoice choice) {
  describe_tensorrt(choice.flavor);
  choice.folder = engines_folder(choice.folder);
  return std::make_unique<tensorrt::TensorRtBackend>(std::move(choice));
}

std::vector<FittingEngine> find_engines(const EngineChoice& choice, const StageFiles& files) {
  const std::string product = product_of(choice.flavor);
  const tensorrt::Gpu gpu = about(product, tensorrt::current_gpu);
  // No need to start TensorRT if no engine fits, whatever its version.
  for (const auto& [stage, onnx] : files) tensorrt::chosen_engine(choice, stage, onnx, gpu, "");
  const std::string version = about(product, [&] { return tensorrt::library_version(choice.flavor); });
  std::vector<FittingEngine> found;
  for (const auto& [stage, onnx] : files) {
    const tensorrt::EngineArtifact engine = tensorrt::chosen_engine(choice, stage, onnx, gpu, version);
    found.push_back({engine.info.facts.precision, tensorrt::is_verified(engine, gpu)});
  }
  return found;
}

}  // namespace cardiacseg
