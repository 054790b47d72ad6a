#pragma once

#include <cuda_runtime.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backends/backend.h"
#include "backends/openvino/openvino_backend.h"
#include "cardiacseg/labels.h"

namespace cardiacseg::test {

/// What a test wants of the networks, and what it finds.
struct DeviceWishes {
  std::int64_t max_frames = 3;
  bool capturable = true;
  bool verified = true;
  Precision precision = Precision::float32;
  float added_to_logits = 0;
  bool seg_writes_nothing = false;
  int marked = 0;    ///< calls of mark_verified
  int enqueued = 0;  ///< calls of enqueue
};

/// A network of OpenVINO as work of a stream; device memory is the host's here.
class OpenVinoExecution : public DeviceExecution {
 public:
  OpenVinoExecution(const Network& network, bool spoilt, std::vector<std::int64_t> shape, DeviceWishes& wishes)
      : network_(network), spoilt_(spoilt), shape_(std::move(shape)), wishes_(wishes) {}

  std::size_t scratch_bytes() const override { return 1000 * static_cast<std::size_t>(shape_[2]); }
  void bind(const float* input, std::span<float* const> outputs, void* scratch) override {
    input_ = input;
    outputs_.assign(outputs.begin(), outputs.end());
    scratch_ = static_cast<std::byte*>(scratch);
  }
  bool capturable(ops::DeviceStream) const override { return wishes_.capturable; }
  void enqueue(ops::DeviceStream stream) override {
    ++wishes_.enqueued;
    const auto run = [](void* self) { static_cast<OpenVinoExecution*>(self)->run(); };
    cuda_check(cudaLaunchHostFunc(stream, run, this));
  }

 private:
  static void cuda_check(cudaError_t status) {
    if (status != cudaSuccess) throw Error(ErrorCode::backend, cudaGetErrorString(status));
  }

  std::int64_t values(std::int64_t channels) const { return shape_[1] * channels * shape_[3] * shape_[4]; }

  /// Frame by frame, as the pipeline on the host does.
  void run() {
    std::fill_n(scratch_, scratch_bytes(), std::byte{0xFF});
    if (spoilt_ && wishes_.seg_writes_nothing) return;
    const bool map = network_.outputs()[0] == "heart";
    const std::int64_t channels = map ? 1 : kLabelCount;
    const std::int64_t presence = shape_[1] * kStructureCount;
    std::vector<std::int64_t> shape = shape_;
    shape[0] = 1;
    std::vector<std::int64_t> output_shape = shape;
    output_shape[2] = channels;
    for (std::int64_t frame = 0; frame < shape_[0]; ++frame) {
      const auto count = static_cast<std::size_t>(values(shape_[2]));
      const auto outputs = static_cast<std::size_t>(values(channels));
      std::vector<MutableTensorView> views{{{outputs_[0] + frame * values(channels), outputs}, output_shape}};
      if (outputs_.size() == 2) {
        views.push_back(
            {{outputs_[1] + frame * presence, static_cast<std::size_t>(presence)}, {1, shape_[1], kStructureCount}});
      }
      network_.run({{input_ + frame * values(shape_[2]), count}, shape}, views, {});
      if (!map) std::for_each_n(views[0].values.begin(), outputs, [&](float& v) { v += wishes_.added_to_logits; });
    }
  }

  const Network& network_;
  bool spoilt_;
  std::vector<std::int64_t> shape_;
  DeviceWishes& wishes_;
  const float* input_ = nullptr;
  std::vector<float*> outputs_;
  std::byte* scratch_ = nullptr;
};

class OpenVinoDeviceNetwork : public DeviceNetwork {
 public:
  OpenVinoDeviceNetwork(std::unique_ptr<Network> network, bool spoilt, DeviceWishes& wishes)
      : network_(std::move(network)), spoilt_(spoilt), wishes_(wishes) {}

  const std::vector<std::string>& outputs() const override { return network_->outputs(); }
  std::int64_t max_frames() const override { return wishes_.max_frames; }
  Precision precision() const override { return wishes_.precision; }
  bool verified() const override { return wishes_.verified; }
  void mark_verified() const override { ++wishes_.marked; }

  void run(const TensorView& input, std::span<const MutableTensorView> outputs, const KeepGoing&) const override {
    std::vector<std::byte> scratch(100000);
    std::vector<float*> addresses;
    for (const MutableTensorView& output : outputs) addresses.push_back(output.values.data());
    OpenVinoExecution execution(*network_, spoilt_, input.shape, wishes_);
    execution.bind(input.values.data(), addresses, scratch.data());
    execution.enqueue(nullptr);
  }

  std::unique_ptr<DeviceExecution> prepare(const std::vector<std::int64_t>& shape) const override {
    if (shape[0] > wishes_.max_frames) throw Error(ErrorCode::backend, "more frames than the engine takes");
    return std::make_unique<OpenVinoExecution>(*network_, spoilt_, shape, wishes_);
  }

 private:
  std::unique_ptr<Network> network_;
  bool spoilt_;
  DeviceWishes& wishes_;
};

/// A backend whose device memory is the simulated GPU's. `wishes` must outlive it and its networks.
class OpenVinoDevice : public DeviceBackend {
 public:
  explicit OpenVinoDevice(DeviceWishes& wishes) : host_(make_openvino_backend(1)), wishes_(wishes) {}

  std::string name() const override { return "openvino_device"; }
  std::int64_t frames_per_call(std::int64_t) const override { return 1; }
  std::unique_ptr<Network> load(const std::string& name, std::span<const std::byte> onnx) const override {
    return load_on_device(name, onnx);
  }
  std::unique_ptr<DeviceNetwork> load_on_device(const std::string& name,
                                                std::span<const std::byte> onnx) const override {
    return std::make_unique<OpenVinoDeviceNetwork>(host_->load(name, onnx), name == "seg", wishes_);
  }

 private:
  std::unique_ptr<Backend> host_;
  DeviceWishes& wishes_;
};

}  // namespace cardiacseg::test
