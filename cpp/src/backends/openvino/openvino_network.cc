#include "backends/openvino/openvino_network.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "backends/openvino/openvino_error.h"
#include "cardiacseg/error.h"

namespace cardiacseg {
namespace {

/// Shapes that stay compiled: a protocol has one field of view and few numbers of slices, and each costs 0.2 GB for a
/// stack of 10 slices.
constexpr std::size_t kCompiledShapes = 4;

/// Between two questions whether to go on.
constexpr std::chrono::milliseconds kPatience{50};

ov::Shape to_shape(const std::vector<std::int64_t>& shape) { return {shape.begin(), shape.end()}; }

std::string to_string(const std::vector<std::int64_t>& shape) {
  std::string text;
  for (const std::int64_t extent : shape) text += (text.empty() ? "" : " x ") + std::to_string(extent);
  return text;
}

/// Unless all is well, ends a running request at its next layer: what it writes to is then free again.
class StopAtLayer {
 public:
  explicit StopAtLayer(ov::InferRequest& request) : request_(request) {}
  ~StopAtLayer() {
    if (well_) return;
    try {
      request_.cancel();
      request_.wait();
    } catch (const std::exception&) {
      // says that it was cancelled
    }
  }

  StopAtLayer(const StopAtLayer&) = delete;
  StopAtLayer& operator=(const StopAtLayer&) = delete;

  void all_is_well() { well_ = true; }

 private:
  ov::InferRequest& request_;
  bool well_ = false;
};

}  // namespace

OpenVinoNetwork::OpenVinoNetwork(const ov::Core& core, std::string name, std::span<const std::byte> onnx,
                                 ov::AnyMap options)
    : core_(core), name_(std::move(name)), options_(std::move(options)) {
  const std::string bytes(reinterpret_cast<const char*>(onnx.data()), onnx.size());
  translate_errors("OpenVINO could not read network " + name_, [&] {
    model_ = core_.read_model(bytes, ov::Tensor());
    for (const auto& output : std::as_const(*model_).outputs()) outputs_.push_back(output.get_any_name());
  });
}

ov::InferRequest OpenVinoNetwork::Compiled::take_request() {
  const std::lock_guard lock(mutex);
  if (idle.empty()) return model.create_infer_request();
  ov::InferRequest request = std::move(idle.back());
  idle.pop_back();
  return request;
}

void OpenVinoNetwork::Compiled::give_back(ov::InferRequest request) {
  const std::lock_guard lock(mutex);
  idle.push_back(std::move(request));
}

void OpenVinoNetwork::run(const TensorView& input, std::span<const MutableTensorView> outputs,
                          const KeepGoing& keep_going) const {
  const std::shared_ptr<Compiled> compiled = recall(input.shape);
  std::call_once(compiled->once, [&] { compile(*compiled); });
  const std::string what = "OpenVINO could not run network " + name_ + " on " + to_string(input.shape);
  ov::InferRequest request = translate_errors(what, [&] { return compiled->take_request(); });
  translate_errors(what, [&] {
    request.set_input_tensor(ov::Tensor(ov::element::f32, to_shape(input.shape), input.values.data()));
    for (std::size_t index = 0; index < outputs.size(); ++index) {
      const MutableTensorView& output = outputs[index];
      request.set_output_tensor(index, ov::Tensor(ov::element::f32, to_shape(output.shape), output.values.data()));
    }
  });
  infer(request, what, keep_going);
  compiled->give_back(std::move(request));
}

/// In this thread; where there is somebody to ask, in OpenVINO's, so that this one can ask meanwhile.
void OpenVinoNetwork::infer(ov::InferRequest& request, const std::string& what, const KeepGoing& keep_going) const {
  if (!keep_going) return translate_errors(what, [&] { request.infer(); });
  translate_errors(what, [&] { request.start_async(); });
  while (!translate_errors(what, [&] { return request.wait_for(kPatience); })) {
    StopAtLayer stop(request);
    if (!keep_going()) throw Error(ErrorCode::cancelled, "the caller stopped the run within network " + name_);
    stop.all_is_well();
  }
}

/// The entry for `shape`, made if there is none, and now the latest used. It may still have to be compiled.
std::shared_ptr<OpenVinoNetwork::Compiled> OpenVinoNetwork::recall(const std::vector<std::int64_t>& shape) const {
  const std::lock_guard lock(mutex_);
  const auto known =
      std::find_if(recent_.begin(), recent_.end(), [&](const auto& entry) { return entry->shape == shape; });
  if (known != recent_.end()) {
    recent_.splice(recent_.begin(), recent_, known);
  } else {
    recent_.push_front(std::make_shared<Compiled>());
    recent_.front()->shape = shape;
    if (recent_.size() > kCompiledShapes) recent_.pop_back();
  }
  return recent_.front();
}

void OpenVinoNetwork::compile(Compiled& compiled) const {
  translate_errors("OpenVINO could not compile network " + name_ + " for " + to_string(compiled.shape), [&] {
    const std::shared_ptr<ov::Model> model = model_->clone();
    model->reshape(ov::PartialShape(to_shape(compiled.shape)));
    compiled.model = core_.compile_model(model, "CPU", options_);
  });
}

}  // namespace cardiacseg
