#include "backends/tensorrt/provider/engine.h"

#include <mutex>
#include <utility>
#include <vector>

#include "backends/tensorrt/provider/attention_plugin.h"
#include "backends/tensorrt/provider/context.h"
#include "backends/tensorrt/provider/dims.h"
#include "backends/tensorrt/provider/library.h"
#include "backends/tensorrt/provider/logger.h"

namespace cardiacseg::tensorrt {
namespace {

nvinfer1::IRuntime* make_runtime() {
  const Attempt attempt(kRtx ? "cannot start its runtime" : "cannot start its runtime, which needs a GPU");
  auto* runtime = static_cast<nvinfer1::IRuntime*>(
      attempt.expect(inference_library().create_runtime(&logger(), NV_TENSORRT_VERSION)));
  register_attention_plugin(*runtime);
  return runtime;
}

/// The process's own. It is not destroyed: at the program's end CUDA may be gone before it.
nvinfer1::IRuntime& runtime() {
  static nvinfer1::IRuntime& instance = *make_runtime();
  return instance;
}

/// Before 8.6 contexts cannot share an optimisation profile, so each one gets an engine of its own.
constexpr bool kContextsShareEngine = kApi >= 806;

class LoadedEngine final : public Engine {
 public:
  LoadedEngine(std::string name, std::span<const std::byte> plan)
      : name_(std::move(name)), engine_(deserialize(name_, plan)) {
    if (!kContextsShareEngine) plan_.assign(plan.begin(), plan.end());
  }

  std::vector<EngineTensor> tensors() const override {
    std::vector<EngineTensor> found;
    for (std::int32_t index = 0; index < engine_->getNbIOTensors(); ++index) {
      const char* name = engine_->getIOTensorName(index);
      found.push_back({name, engine_->getTensorIOMode(name) == nvinfer1::TensorIOMode::kINPUT,
                       element_type(engine_->getTensorDataType(name)), shape_of(engine_->getTensorShape(name))});
    }
    return found;
  }

  ShapeRange input_range(const std::string& name) const override {
    using Selector = nvinfer1::OptProfileSelector;
    const auto extents = [&](Selector selector) {
      const nvinfer1::Dims dims = engine_->getProfileShape(name.c_str(), 0, selector);
      if (dims.nbDims < 0) Attempt("has no input " + name + " in the engine " + name_).fail();
      return shape_of(dims);
    };
    return {extents(Selector::kMIN), extents(Selector::kOPT), extents(Selector::kMAX)};
  }

  std::unique_ptr<Context> make_context() const override {
    const std::lock_guard lock(mutex_);
    const bool own = !kContextsShareEngine && std::exchange(in_use_, true);
    return tensorrt::make_context(name_, own ? std::shared_ptr(deserialize(name_, plan_)) : engine_);
  }

 private:
  std::string name_;
  std::shared_ptr<nvinfer1::ICudaEngine> engine_;
  std::vector<std::byte> plan_;  ///< for further engines
  mutable bool in_use_ = false;  ///< whether a context was made of `engine_`
  mutable std::mutex mutex_;
};

}  // namespace

std::unique_ptr<nvinfer1::ICudaEngine> deserialize(const std::string& name, std::span<const std::byte> plan) {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  nvinfer1::IRuntime& library = runtime();
  const Attempt attempt("cannot read the engine " + name);
  return std::unique_ptr<nvinfer1::ICudaEngine>(
      attempt.expect(library.deserializeCudaEngine(plan.data(), plan.size())));
}

std::unique_ptr<Engine> load_engine(const std::string& name, std::span<const std::byte> plan) {
  return std::make_unique<LoadedEngine>(name, plan);
}

}  // namespace cardiacseg::tensorrt
