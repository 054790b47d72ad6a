#include "backends/openvino/openvino_network.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <sstream>
#include <system_error>
#include <utility>

#include "backends/openvino/openvino_error.h"
#include "backends/openvino/openvino_model.h"
#include "cardiacseg/error.h"
#include "files/sha256.h"

namespace cardiacseg {
namespace {

/// Between two questions whether to go on.
constexpr std::chrono::milliseconds kPatience{50};

ov::Shape to_shape(const std::vector<std::int64_t>& shape) { return {shape.begin(), shape.end()}; }

std::string to_string(const std::vector<std::int64_t>& shape) {
  std::string text;
  for (const std::int64_t extent : shape) text += (text.empty() ? "" : " x ") + std::to_string(extent);
  return text;
}

/// For the key in the store.
std::string describe(const Float32Layers& layers) {
  if (layers == Float32Layers{}) return {};
  return std::string("\nin float32: ") + (layers.everything ? "everything " : "") + std::to_string(layers.first) + " " +
         std::to_string(layers.last) + (layers.other_operations ? " and other operations" : "");
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

OpenVinoNetwork::OpenVinoNetwork(std::shared_ptr<OpenVinoContext> context, std::string name,
                                 std::span<const std::byte> onnx, const Float32Layers& float32)
    : context_(std::move(context)),
      name_(std::move(name)),
      float32_(float32),
      onnx_(reinterpret_cast<const char*>(onnx.data()), onnx.size()) {
  if (context_->store.is_on()) key_ = "network " + sha256(onnx) + "\n" + context_->maker + describe(float32_);
  find_outputs();
}

OpenVinoNetwork::~OpenVinoNetwork() { context_->shapes.forget(this); }

/// That the store has them says, too, that OpenVINO could read the network.
void OpenVinoNetwork::find_outputs() {
  if (const std::optional<std::string> known = context_->store.read(key_)) {
    std::istringstream lines(*known);
    for (std::string line; std::getline(lines, line);) outputs_.push_back(line);
    return;
  }
  std::string lines;
  for (const auto& output : model().outputs()) {
    outputs_.push_back(output.get_any_name());
    lines += outputs_.back() + "\n";
  }
  context_->store.write(key_, lines);
}

const ov::Model& OpenVinoNetwork::model() const {
  const std::lock_guard lock(reading_);
  if (!model_) {
    translate_errors("OpenVINO could not read network " + name_,
                     [&] { model_ = context_->core.read_model(onnx_, ov::Tensor()); });
    onnx_ = {};
  }
  return *model_;
}

ov::InferRequest CompiledNetwork::take_request() {
  const std::lock_guard lock(mutex);
  if (idle.empty()) return model.create_infer_request();
  ov::InferRequest request = std::move(idle.back());
  idle.pop_back();
  return request;
}

void CompiledNetwork::give_back(ov::InferRequest request) {
  const std::lock_guard lock(mutex);
  idle.push_back(std::move(request));
}

std::future<void> OpenVinoNetwork::prepare_ahead(const Shape& shape) const {
  if (context_->shapes.peek(this, shape)) return {};
  try {
    return std::async(std::launch::async, [this, shape] { make_ready(*context_->shapes.recall(this, shape), shape); });
  } catch (const std::system_error&) {
    return {};  // no thread is to be had
  }
}

void OpenVinoNetwork::run(const TensorView& input, std::span<const MutableTensorView> outputs,
                          const KeepGoing& keep_going) const {
  const std::shared_ptr<CompiledNetwork> compiled = context_->shapes.recall(this, input.shape);
  make_ready(*compiled, input.shape);
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

/// Runs in this thread, or with `keep_going` in OpenVINO's threads while this one asks.
void OpenVinoNetwork::infer(ov::InferRequest& request, const std::string& what, const KeepGoing& keep_going) const {
  if (!keep_going) return translate_errors(what, [&] { request.infer(); });
  translate_errors(what, [&] { request.start_async(); });
  while (!translate_errors(what, [&] { return request.wait_for(kPatience); })) {
    StopAtLayer stop(request);
    if (!keep_going()) throw Error(ErrorCode::cancelled, "the caller stopped the run within network " + name_);
    stop.all_is_well();
  }
}

void OpenVinoNetwork::make_ready(CompiledNetwork& compiled, const Shape& shape) const {
  std::call_once(compiled.once, [&] {
    const std::string key = "compiled for " + to_string(shape) + " from " + key_;
    if (!load(compiled, key)) compile(compiled, shape, key);
  });
}

/// From the store; whether that was possible. What it has is the memory in bytes, a line feed, and what OpenVINO wrote.
bool OpenVinoNetwork::load(CompiledNetwork& compiled, const std::string& key) const {
  std::optional<std::string> known = context_->store.read(key);
  if (!known) return false;
  std::istringstream stream(std::move(*known));
  std::int64_t bytes = 0;
  stream >> bytes;
  stream.get();
  context_->shapes.make_room(compiled, bytes);
  try {
    compiled.model = context_->core.import_model(stream, "CPU", options());
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

/// To compile with.
ov::AnyMap OpenVinoNetwork::options() const {
  ov::AnyMap options = context_->options;
  if (float32_.everything) options.insert_or_assign(ov::hint::inference_precision.name(), ov::element::f32);
  return options;
}

void OpenVinoNetwork::compile(CompiledNetwork& compiled, const Shape& shape, const std::string& key) const {
  translate_errors("OpenVINO could not compile network " + name_ + " for " + to_string(shape), [&] {
    const std::shared_ptr<ov::Model> reshaped = model().clone();
    reshaped->reshape(ov::PartialShape(to_shape(shape)));
    if (float32_ != Float32Layers{}) keep_float32_layers(*reshaped, float32_);
    const std::int64_t bytes = working_bytes(*reshaped);
    context_->shapes.make_room(compiled, bytes);
    compiled.model = context_->core.compile_model(reshaped, "CPU", options());
    if (!context_->store.is_on()) return;
    std::ostringstream stream;
    stream << std::to_string(bytes) << '\n';  // without the separators of a locale
    compiled.model.export_model(stream);
    context_->store.write(key, stream.str());
  });
}

}  // namespace cardiacseg
