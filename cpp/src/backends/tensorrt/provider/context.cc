#include "backends/tensorrt/provider/context.h"

#include <utility>
#include <vector>

#include "backends/tensorrt/provider/dims.h"
#include "backends/tensorrt/provider/logger.h"
#include "cardiacseg/error.h"

namespace cardiacseg::tensorrt {
namespace {

#ifdef TRT_MAJOR_RTX
/// With kernels for a shape made when it first runs, so that a graph that is captured afterwards holds these.
nvinfer1::IExecutionContext* create(nvinfer1::ICudaEngine& engine) {
  const std::unique_ptr<nvinfer1::IRuntimeConfig> config(engine.createRuntimeConfig());
  if (config == nullptr) return nullptr;
  config->setExecutionContextAllocationStrategy(nvinfer1::ExecutionContextAllocationStrategy::kUSER_MANAGED);
  config->setDynamicShapesKernelSpecializationStrategy(nvinfer1::DynamicShapesKernelSpecializationStrategy::kEAGER);
  return engine.createExecutionContext(config.get());
}
#else
nvinfer1::IExecutionContext* create(nvinfer1::ICudaEngine& engine) {
#if CARDIACSEG_TENSORRT_API >= 1000
  return engine.createExecutionContext(nvinfer1::ExecutionContextAllocationStrategy::kUSER_MANAGED);
#else
  return engine.createExecutionContextWithoutDeviceMemory();
#endif
}
#endif

class LoadedContext final : public Context {
 public:
  LoadedContext(const std::string& name, std::shared_ptr<nvinfer1::ICudaEngine> engine)
      : name_(name), engine_(std::move(engine)) {
    const Attempt attempt("cannot make a context of the engine " + name_);
    context_.reset(attempt.expect(create(*engine_)));
  }

  void set_input_shape(const std::string& name, const std::vector<std::int64_t>& shape) override {
    const Attempt attempt("does not take this shape of " + name + " in the engine " + name_);
    attempt.expect(context_->setInputShape(name.c_str(), dims_of(name, shape)));
  }

  std::size_t scratch_bytes() override {
    const Attempt attempt("cannot derive all shapes of the engine " + name_);
    attempt.expect(context_->inferShapes(0, nullptr) == 0);
#if CARDIACSEG_TENSORRT_API >= 1000
    const std::size_t bytes = context_->updateDeviceMemorySizeForShapes();
    attempt.expect(bytes > 0 || attempt.silent());
    return bytes;
#else
    return engine_->getDeviceMemorySize();
#endif
  }

  void set_scratch(void* memory, [[maybe_unused]] std::size_t bytes) override {
#if CARDIACSEG_TENSORRT_API >= 1001
    context_->setDeviceMemoryV2(memory, static_cast<std::int64_t>(bytes));
#else
    context_->setDeviceMemory(memory);
#endif
  }

  void set_address(const std::string& name, void* memory) override {
    const Attempt attempt("does not take this address of " + name + " in the engine " + name_);
    attempt.expect(context_->setTensorAddress(name.c_str(), memory));
  }

  bool capturable([[maybe_unused]] ops::DeviceStream stream) const override {
#ifdef TRT_MAJOR_RTX
    return context_->isStreamCapturable(stream);
#else
    return true;
#endif
  }

  void enqueue(ops::DeviceStream stream) override {
    const Attempt attempt("cannot run the engine " + name_);
    attempt.expect(context_->enqueueV3(stream));
  }

 private:
  std::string name_;
  std::shared_ptr<nvinfer1::ICudaEngine> engine_;
  std::unique_ptr<nvinfer1::IExecutionContext> context_;  // goes before its engine
};

}  // namespace

std::unique_ptr<Context> make_context(const std::string& name, std::shared_ptr<nvinfer1::ICudaEngine> engine) {
  return std::make_unique<LoadedContext>(name, std::move(engine));
}

}  // namespace cardiacseg::tensorrt
