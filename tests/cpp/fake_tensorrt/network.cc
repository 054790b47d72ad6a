#include "network.h"

#include <cuda_runtime.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <list>
#include <map>
#include <utility>

#include "backends/tensorrt/provider/engine_network.h"
#include "cardiacseg/error.h"
#include "graph.h"
#include "options.h"
#include "plan.h"

namespace cardiacseg::tensorrt::fake {
namespace {

using Shape = std::vector<std::int64_t>;

std::size_t element_count(const ov::Output<const ov::Node>& port) { return ov::shape_size(port.get_shape()); }

/// Does to an output what the test asked for; `before` is its last element from before the run.
void damage(const std::string& name, float* values, std::size_t count, float before) {
  if (told_to("wrong_logits") && name == "logits") {
    for (std::size_t index = 0; index < count; ++index) values[index] = -values[index];
  }
  if (told_to("nan")) values[count / 2] = std::numeric_limits<float>::quiet_NaN();
  if (told_to("unwritten")) values[count - 1] = before;
}

ov::CompiledModel compile(const ov::Model& model, const std::map<std::string, Shape>& shapes) {
  const std::shared_ptr<ov::Model> copy = model.clone();
  std::map<std::string, ov::PartialShape> wanted;
  for (const auto& [input, shape] : shapes) wanted[input] = ov::PartialShape(ov::Shape(shape.begin(), shape.end()));
  copy->reshape(wanted);
  return core().compile_model(copy, "CPU", ov::hint::inference_precision(ov::element::f32),
                              ov::inference_num_threads(1), ov::num_streams(1));
}

/// One that holds its callers to what DeviceExecution asks for.
class FakeExecution final : public DeviceExecution {
 public:
  /// `shapes` are those of all inputs, `names` of the bound ones: the input, then the outputs.
  FakeExecution(std::string name, const ov::Model& model, const std::map<std::string, Shape>& shapes,
                std::vector<std::string> names, cuda::DeviceBuffer slice_starts)
      : name_(std::move(name)),
        names_(std::move(names)),
        slice_starts_(std::move(slice_starts)),
        compiled_(compile(model, shapes)),
        request_(compiled_.create_infer_request()) {
    for (const auto& output : compiled_.outputs()) scratch_bytes_ += element_count(output);
    if (slice_starts_.bytes() > 0) addresses_[kSliceStarts] = slice_starts_.data();
  }

  std::size_t scratch_bytes() const override { return scratch_bytes_; }

  void bind(const float* input, std::span<float* const> outputs, void* scratch) override {
    note("bind");
    require_addresses(names_.size() - 1, outputs);
    require(scratch != nullptr, "scratch memory");
    scratch_ = scratch;
    set_address(names_[0], const_cast<float*>(input));
    for (std::size_t index = 0; index < outputs.size(); ++index) set_address(names_[index + 1], outputs[index]);
  }

  bool capturable(ops::DeviceStream) const override { return !told_to("not_capturable"); }

  void enqueue(ops::DeviceStream stream) override {
    note("enqueue");
    require(stream != nullptr, "a stream that is not the default one");
    require(scratch_ != nullptr, "to be bound before enqueue");
    if (launches_.empty() || launches_.back().addresses != addresses_ || launches_.back().scratch != scratch_) {
      launches_.push_back({this, addresses_, scratch_});
    }
    if (told_to("breaks_capture")) static_cast<void>(cudaStreamSynchronize(stream));
    const cudaError_t status = cudaLaunchHostFunc(stream, &FakeExecution::run, &launches_.back());
    require(status == cudaSuccess, std::string("a stream that takes work, which says: ") + cudaGetErrorString(status));
  }

 private:
  /// Addresses as they were when the network was put on a stream; a graph keeps them.
  struct Launch {
    FakeExecution* execution;
    std::map<std::string, void*> addresses;
    void* scratch;
  };

  void require(bool sound, const std::string& wanted) const {
    if (!sound) throw Error(ErrorCode::backend, "engine " + name_ + ": the fake expected " + wanted);
  }

  void set_address(const std::string& name, void* memory) {
    require(memory != nullptr && reinterpret_cast<std::uintptr_t>(memory) % 256 == 0,
            "an address aligned to 256 bytes of " + name);
    addresses_[name] = memory;
  }

  /// As on a GPU, what goes wrong now cannot reach who called enqueue.
  static void run(void* launch) {
    const auto& self = *static_cast<const Launch*>(launch);
    try {
      self.execution->run_on(self);
      note("run");
    } catch (const std::exception& error) {
      note(std::string("failed: ") + error.what());
    }
  }

  /// Scratch memory holds NaNs before and after, so that nothing can lean on what is there.
  void run_on(const Launch& launch) {
    std::memset(launch.scratch, 0xFF, scratch_bytes_);
    for (const auto& port : compiled_.inputs()) {
      request_.set_tensor(port, {port.get_element_type(), port.get_shape(), launch.addresses.at(port.get_any_name())});
    }
    std::vector<float> before;
    for (const auto& port : compiled_.outputs()) {
      auto* values = static_cast<float*>(launch.addresses.at(port.get_any_name()));
      before.push_back(values[element_count(port) - 1]);
      request_.set_tensor(port, {port.get_element_type(), port.get_shape(), values});
    }
    request_.infer();
    for (std::size_t index = 0; index < before.size(); ++index) {
      const auto& port = compiled_.outputs()[index];
      auto* values = static_cast<float*>(launch.addresses.at(port.get_any_name()));
      damage(port.get_any_name(), values, element_count(port), before[index]);
    }
    std::memset(launch.scratch, 0xFF, scratch_bytes_);
  }

  std::string name_;
  std::vector<std::string> names_;
  cuda::DeviceBuffer slice_starts_;
  ov::CompiledModel compiled_;
  ov::InferRequest request_;
  std::map<std::string, void*> addresses_;
  void* scratch_ = nullptr;
  std::size_t scratch_bytes_ = 1024;
  std::list<Launch> launches_;
};

class FakeNetwork final : public EngineNetwork {
 public:
  FakeNetwork(const EngineArtifact& artifact, Plan plan, std::shared_ptr<ov::Model> model, const TensorNames& names)
      : EngineNetwork(artifact, names),
        name_(artifact.path.filename().string()),
        plan_(std::move(plan)),
        model_(std::move(model)) {}

 protected:
  std::unique_ptr<DeviceExecution> make_execution(const Shape& shape) const override {
    note("make_execution " + shape_text(shape));
    std::map<std::string, Shape> shapes{{input().name, shape}};
    cuda::DeviceBuffer starts;
    if (takes_slice_starts()) {
      starts = upload_slice_starts(shape[0], shape[1]);
      shapes[kSliceStarts] = {shape[0] + 1};
    }
    for (const EngineInput& range : plan_.inputs) {
      if (!contains(range, shapes.at(range.name))) {
        throw Error(ErrorCode::backend, "engine " + name_ + ": the fake was built for other shapes of " + range.name);
      }
    }
    std::vector<std::string> names{input().name};
    names.insert(names.end(), outputs().begin(), outputs().end());
    return std::make_unique<FakeExecution>(name_, *model_, shapes, std::move(names), std::move(starts));
  }

 private:
  std::string name_;
  Plan plan_;
  std::shared_ptr<ov::Model> model_;
};

}  // namespace

std::unique_ptr<DeviceNetwork> load_engine(const EngineArtifact& artifact) {
  const std::string name = artifact.path.filename().string();
  note("load " + name);
  Plan plan = decode(name, artifact.plan);
  TensorNames names;
  std::shared_ptr<ov::Model> model;
  try {
    model = read_graph(plan.onnx);
  } catch (const std::exception& error) {
    throw Error(ErrorCode::backend, "the fake cannot read the graph of " + name + ": " + error.what());
  }
  for (const auto& port : model->inputs()) names.inputs.push_back(port.get_any_name());
  for (const auto& port : model->outputs()) names.outputs.push_back(port.get_any_name());
  return std::make_unique<FakeNetwork>(artifact, std::move(plan), std::move(model), names);
}

}  // namespace cardiacseg::tensorrt::fake
