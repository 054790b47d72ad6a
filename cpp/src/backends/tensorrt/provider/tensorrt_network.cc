#include <mutex>
#include <utility>

#include "backends/tensorrt/provider/attention_plugin.h"
#include "backends/tensorrt/provider/engine.h"
#include "backends/tensorrt/provider/engine_network.h"
#include "backends/tensorrt/provider/library.h"
#include "backends/tensorrt/provider/logger.h"

namespace cardiacseg::tensorrt {
namespace {

using EnginePointer = std::shared_ptr<nvinfer1::ICudaEngine>;

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

#ifdef TRT_MAJOR_RTX
/// With kernels for a shape made when it first runs, so that a graph that is captured afterwards holds these.
nvinfer1::IExecutionContext* create_context(nvinfer1::ICudaEngine& engine) {
  const std::unique_ptr<nvinfer1::IRuntimeConfig> config(engine.createRuntimeConfig());
  if (config == nullptr) return nullptr;
  config->setExecutionContextAllocationStrategy(nvinfer1::ExecutionContextAllocationStrategy::kUSER_MANAGED);
  config->setDynamicShapesKernelSpecializationStrategy(nvinfer1::DynamicShapesKernelSpecializationStrategy::kEAGER);
  return engine.createExecutionContext(config.get());
}
#else
nvinfer1::IExecutionContext* create_context(nvinfer1::ICudaEngine& engine) {
#if CARDIACSEG_TENSORRT_API >= 1000
  return engine.createExecutionContext(nvinfer1::ExecutionContextAllocationStrategy::kUSER_MANAGED);
#else
  return engine.createExecutionContextWithoutDeviceMemory();
#endif
}
#endif

/// A context, whose memory is its user's, with its shapes set.
class TensorRtExecution final : public DeviceExecution {
 public:
  TensorRtExecution(std::string name, EnginePointer engine, std::string input, std::vector<std::string> outputs)
      : name_(std::move(name)), input_(std::move(input)), outputs_(std::move(outputs)), engine_(std::move(engine)) {
    const Attempt attempt("cannot make a context of the engine " + name_);
    context_.reset(attempt.expect(create_context(*engine_)));
  }

  void set_shape(const std::vector<std::int64_t>& shape, bool slice_starts) {
    set_input_shape(input_, shape);
    if (slice_starts) {
      slice_starts_ = upload_slice_starts(shape[0], shape[1]);
      set_input_shape(kSliceStarts, {shape[0] + 1});
    }
    const Attempt attempt("cannot derive all shapes of the engine " + name_);
    attempt.expect(context_->inferShapes(0, nullptr) == 0);
#if CARDIACSEG_TENSORRT_API >= 1000
    scratch_bytes_ = context_->updateDeviceMemorySizeForShapes();
    attempt.expect(scratch_bytes_ > 0 || attempt.silent());
#else
    scratch_bytes_ = engine_->getDeviceMemorySize();
#endif
  }

  std::size_t scratch_bytes() const override { return scratch_bytes_; }

  void bind(const float* input, std::span<float* const> outputs, void* scratch) override {
    require_addresses(outputs_.size(), outputs);
#if CARDIACSEG_TENSORRT_API >= 1001
    context_->setDeviceMemoryV2(scratch, static_cast<std::int64_t>(scratch_bytes_));
#else
    context_->setDeviceMemory(scratch);
#endif
    // TensorRT takes all addresses alike; it reads inputs alone.
    set_address(input_, const_cast<float*>(input));
    if (slice_starts_.bytes() > 0) set_address(kSliceStarts, slice_starts_.data());
    for (std::size_t index = 0; index < outputs.size(); ++index) set_address(outputs_[index], outputs[index]);
  }

  bool capturable([[maybe_unused]] ops::DeviceStream stream) const override {
#ifdef TRT_MAJOR_RTX
    return context_->isStreamCapturable(stream);
#else
    return true;
#endif
  }

  void enqueue(ops::DeviceStream stream) override {
    Attempt("cannot run the engine " + name_).expect(context_->enqueueV3(stream));
  }

 private:
  void set_input_shape(const std::string& name, const std::vector<std::int64_t>& shape) {
    const Attempt attempt("does not take this shape of " + name + " in the engine " + name_);
    attempt.expect(context_->setInputShape(name.c_str(), dims_of(name, shape)));
  }

  void set_address(const std::string& name, void* memory) {
    const Attempt attempt("does not take this address of " + name + " in the engine " + name_);
    attempt.expect(context_->setTensorAddress(name.c_str(), memory));
  }

  std::string name_;
  std::string input_;
  std::vector<std::string> outputs_;
  EnginePointer engine_;
  cuda::DeviceBuffer slice_starts_;  ///< empty if the engine has no such input
  std::size_t scratch_bytes_ = 0;
  std::unique_ptr<nvinfer1::IExecutionContext> context_;  // goes before its engine and the memory that it is bound to
};

/// Before 8.6 contexts cannot share an optimization profile, so each one gets an engine of its own.
constexpr bool kContextsShareEngine = kApi >= 806;

class TensorRtNetwork final : public EngineNetwork {
 public:
  TensorRtNetwork(const EngineArtifact& artifact, EnginePointer engine, const TensorNames& names)
      : EngineNetwork(artifact, names), name_(artifact.path.filename().string()), engine_(std::move(engine)) {
    if (!kContextsShareEngine) plan_ = artifact.plan;
  }

 protected:
  std::unique_ptr<DeviceExecution> make_execution(const std::vector<std::int64_t>& shape) const override {
    auto execution = std::make_unique<TensorRtExecution>(name_, engine_for_context(), input().name, outputs());
    execution->set_shape(shape, takes_slice_starts());
    return execution;
  }

 private:
  EnginePointer engine_for_context() const {
    if (kContextsShareEngine) return engine_;
    const std::lock_guard lock(mutex_);
    return std::exchange(in_use_, true) ? EnginePointer(deserialize(name_, plan_)) : engine_;
  }

  std::string name_;
  EnginePointer engine_;
  std::vector<std::byte> plan_;  ///< for further engines
  mutable bool in_use_ = false;  ///< whether a context was made of `engine_`
  mutable std::mutex mutex_;
};

/// Checks that all tensors are of the types that are bound.
TensorNames tensor_names(const std::string& path, const nvinfer1::ICudaEngine& engine) {
  TensorNames names;
  for (std::int32_t index = 0; index < engine.getNbIOTensors(); ++index) {
    const std::string name = engine.getIOTensorName(index);
    const bool starts = name == kSliceStarts;
    const auto expected = starts ? nvinfer1::DataType::kINT32 : nvinfer1::DataType::kFLOAT;
    if (engine.getTensorDataType(name.c_str()) != expected) {
      throw Error(ErrorCode::backend, path + ": expected tensor " + name + " to hold " +
                                          (starts ? "int32" : "float32") + ", got another type");
    }
    const bool is_input = engine.getTensorIOMode(name.c_str()) == nvinfer1::TensorIOMode::kINPUT;
    (is_input ? names.inputs : names.outputs).push_back(name);
  }
  return names;
}

}  // namespace

std::unique_ptr<nvinfer1::ICudaEngine> deserialize(const std::string& name, std::span<const std::byte> plan) {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  nvinfer1::IRuntime& library = runtime();
  const Attempt attempt("cannot read the engine " + name);
  return std::unique_ptr<nvinfer1::ICudaEngine>(
      attempt.expect(library.deserializeCudaEngine(plan.data(), plan.size())));
}

std::unique_ptr<DeviceNetwork> load_engine(const EngineArtifact& artifact) {
  EnginePointer engine = deserialize(artifact.path.filename().string(), artifact.plan);
  TensorNames names = tensor_names(artifact.path.string(), *engine);
  return std::make_unique<TensorRtNetwork>(artifact, std::move(engine), names);
}

}  // namespace cardiacseg::tensorrt
