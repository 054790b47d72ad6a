#pragma once

#include <cuda_runtime.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backends/backend.h"
#include "cardiacseg/error.h"
#include "cuda/buffer.h"
#include "cuda/copy.h"
#include "cuda/stream.h"
#include "fake_kernels.h"

namespace cardiacseg::test {

/// What a test wants of the networks on the GPU, and what it finds.
struct FakeOptions {
  std::int64_t max_frames = 3;
  bool capturable = true;
  bool verified = true;
  Precision precision = Precision::float32;
  float added_to_logits = 0;         ///< of Seg and Ref
  float background_in_pipeline = 0;  ///< added to label 0 where a network runs in the pipeline, not alone
  bool seg_writes_nothing = false;
  bool ref_fails = false;
  int marked = 0;                 ///< calls of mark_verified
  std::atomic<int> enqueued = 0;  ///< calls of enqueue
};

/// The network of a stage; its "ONNX file" is one byte that says whether it gives presence.
class FakeNetwork {
 public:
  FakeNetwork(const std::string& stage, std::span<const std::byte> onnx)
      : stage_(stage == "locate" ? FakeStage::locate
               : stage == "seg"  ? FakeStage::seg
                                 : FakeStage::ref) {
    names_ = {stage == "locate" ? "heart" : "logits"};
    if (onnx[0] == std::byte{1}) names_.emplace_back("presence");
  }

  FakeStage stage() const { return stage_; }
  const std::vector<std::string>& names() const { return names_; }
  FakeTask task(const std::vector<std::int64_t>& shape, float added = 0, float background = 0) const {
    return {stage_, shape[0] * shape[1], shape[3] * shape[4], added, background};
  }

 private:
  FakeStage stage_;
  std::vector<std::string> names_;
};

class FakeHostNetwork : public Network {
 public:
  FakeHostNetwork(const std::string& stage, std::span<const std::byte> onnx) : fake_(stage, onnx) {}

  const std::vector<std::string>& outputs() const override { return fake_.names(); }
  void run(const TensorView& input, std::span<const MutableTensorView> outputs, const KeepGoing&) const override {
    const FakeTask task = fake_.task(input.shape);
    for (std::int64_t index = 0; index < task.slices * task.pixels; ++index) {
      fake_pixel(task, input.values.data(), outputs[0].values.data(), index);
    }
    for (std::int64_t slice = 0; outputs.size() == 2 && slice < task.slices; ++slice) {
      fake_presence(task, input.values.data(), outputs[1].values.data(), slice);
    }
  }

 private:
  FakeNetwork fake_;
};

/// Kernels on a stream. Each run overwrites its scratch memory.
class FakeExecution : public DeviceExecution {
 public:
  FakeExecution(const FakeNetwork& fake, std::vector<std::int64_t> shape, FakeOptions& options, float background = 0)
      : fake_(fake), shape_(std::move(shape)), options_(options), background_(background) {}

  std::size_t scratch_bytes() const override { return 1000 * static_cast<std::size_t>(shape_[2]); }
  void bind(const float* input, std::span<float* const> outputs, void* scratch) override {
    input_ = input;
    outputs_.assign(outputs.begin(), outputs.end());
    scratch_ = scratch;
  }
  bool capturable(ops::DeviceStream) const override { return options_.capturable; }
  void enqueue(ops::DeviceStream stream) override {
    ++options_.enqueued;
    cuda::fill(scratch_, 0xFF, scratch_bytes(), stream);
    if (options_.ref_fails && fake_.stage() == FakeStage::ref) throw Error(ErrorCode::backend, "the fake Ref failed");
    if (options_.seg_writes_nothing && fake_.stage() == FakeStage::seg) return;
    enqueue_fake_network(fake_.task(shape_, options_.added_to_logits, background_), input_, outputs_[0],
                         outputs_.size() == 2 ? outputs_[1] : nullptr, stream);
  }

 private:
  const FakeNetwork& fake_;
  std::vector<std::int64_t> shape_;
  FakeOptions& options_;
  float background_;
  const float* input_ = nullptr;
  std::vector<float*> outputs_;
  void* scratch_ = nullptr;
};

class FakeDeviceNetwork : public DeviceNetwork {
 public:
  FakeDeviceNetwork(const std::string& stage, std::span<const std::byte> onnx, FakeOptions& options)
      : fake_(stage, onnx), options_(options) {}

  const std::vector<std::string>& outputs() const override { return fake_.names(); }
  std::int64_t max_frames() const override { return options_.max_frames; }
  Precision precision() const override { return options_.precision; }
  bool verified() const override { return options_.verified; }
  void mark_verified() const override { ++options_.marked; }

  void run(const TensorView& input, std::span<const MutableTensorView> outputs, const KeepGoing&) const override {
    const cuda::Stream stream;
    const cuda::DeviceBuffer on_device(input.values.size_bytes());
    cuda::upload(on_device.data(), input.values.data(), on_device.bytes(), stream.get());
    FakeExecution execution(fake_, input.shape, options_);
    const cuda::DeviceBuffer scratch(execution.scratch_bytes());
    std::vector<cuda::DeviceBuffer> buffers;
    std::vector<float*> addresses;
    for (const MutableTensorView& output : outputs) {
      buffers.emplace_back(output.values.size_bytes());
      cuda::fill(buffers.back().data(), 0xFF, buffers.back().bytes(), stream.get());
      addresses.push_back(buffers.back().as<float>());
    }
    execution.bind(on_device.as<float>(), addresses, scratch.data());
    execution.enqueue(stream.get());
    for (std::size_t index = 0; index < outputs.size(); ++index) {
      cuda::download(outputs[index].values.data(), buffers[index].data(), buffers[index].bytes(), stream.get());
    }
    stream.synchronize();
  }

  std::unique_ptr<DeviceExecution> prepare(const std::vector<std::int64_t>& shape) const override {
    if (shape[0] > options_.max_frames) throw Error(ErrorCode::backend, "more frames than the engine takes");
    return std::make_unique<FakeExecution>(fake_, shape, options_, options_.background_in_pipeline);
  }

 private:
  FakeNetwork fake_;
  FakeOptions& options_;
};

class FakeHostBackend : public Backend {
 public:
  std::string name() const override { return "fake host"; }
  MemorySpace memory() const override { return MemorySpace::host; }
  std::int64_t frames_per_call(std::int64_t) const override { return 1; }
  std::unique_ptr<Network> load(const std::string& stage, std::span<const std::byte> onnx) const override {
    return std::make_unique<FakeHostNetwork>(stage, onnx);
  }
};

/// `options` must outlive it and its networks.
class FakeDeviceBackend : public DeviceBackend {
 public:
  explicit FakeDeviceBackend(FakeOptions& options) : options_(options) {}

  std::string name() const override { return "fake device"; }
  std::int64_t frames_per_call(std::int64_t) const override { return 1; }
  std::unique_ptr<Network> load(const std::string& stage, std::span<const std::byte> onnx) const override {
    return load_on_device(stage, onnx);
  }
  std::unique_ptr<DeviceNetwork> load_on_device(const std::string& stage,
                                                std::span<const std::byte> onnx) const override {
    return std::make_unique<FakeDeviceNetwork>(stage, onnx, options_);
  }

 private:
  FakeOptions& options_;
};

}  // namespace cardiacseg::test
