#include "context.h"

#include <cuda_runtime.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "cardiacseg/error.h"
#include "graph.h"
#include "wishes.h"

namespace cardiacseg::tensorrt::test {
namespace {

using Outputs = std::vector<ov::Output<const ov::Node>>;

std::size_t element_count(const ov::Output<const ov::Node>& port) { return ov::shape_size(port.get_shape()); }

/// Does to an output what the test asked for; `before` is its last element from before the run.
void spoil(const std::string& name, float* values, std::size_t count, float before) {
  if (told_to("wrong_logits") && name == "logits") {
    for (std::size_t index = 0; index < count; ++index) values[index] = -values[index];
  }
  if (told_to("nan")) values[count / 2] = std::numeric_limits<float>::quiet_NaN();
  if (told_to("unwritten")) values[count - 1] = before;
}

}  // namespace

ov::CompiledModel Network::compiled_for(const std::map<std::string, std::vector<std::int64_t>>& shapes) {
  const std::shared_ptr<ov::Model> copy = model->clone();
  std::map<std::string, ov::PartialShape> wanted;
  for (const auto& [input, shape] : shapes) wanted[input] = ov::PartialShape(ov::Shape(shape.begin(), shape.end()));
  copy->reshape(wanted);
  return core().compile_model(copy, "CPU", ov::hint::inference_precision(ov::element::f32),
                              ov::inference_num_threads(1), ov::num_streams(1));
}

DoubleContext::DoubleContext(std::shared_ptr<Network> network) : network_(std::move(network)) { note("make_context"); }

void DoubleContext::set_input_shape(const std::string& name, const std::vector<std::int64_t>& shape) {
  note("set_input_shape " + name + " " + shape_text(shape));
  const auto range = network_->plan.ranges.find(name);
  require(range != network_->plan.ranges.end(), "a shape of one of its inputs, not of " + name);
  require(contains(range->second, shape), "a shape of " + name + " in its range, not " + shape_text(shape));
  shapes_[name] = shape;
  scratch_bytes_ = 0;
}

std::size_t DoubleContext::scratch_bytes() {
  note("scratch_bytes");
  require(shapes_.size() == network_->plan.ranges.size(), "the shapes of all inputs before scratch_bytes");
  compiled_ = network_->compiled_for(shapes_);
  request_ = compiled_.create_infer_request();
  std::size_t elements = 0;
  for (const auto& output : compiled_.outputs()) elements += element_count(output);
  return scratch_bytes_ = 1024 + elements;
}

void DoubleContext::set_scratch(void* memory, std::size_t bytes) {
  note("set_scratch");
  require(scratch_bytes_ > 0, "scratch_bytes to be asked for before set_scratch");
  require(memory != nullptr && bytes >= scratch_bytes_, "scratch memory of the size that it asked for");
  scratch_ = memory;
}

void DoubleContext::set_address(const std::string& name, void* memory) {
  note("set_address " + name);
  require(reinterpret_cast<std::uintptr_t>(memory) % 256 == 0, "an address aligned to 256 bytes of " + name);
  addresses_[name] = memory;
}

bool DoubleContext::capturable(ops::DeviceStream) const { return !told_to("not_capturable"); }

void DoubleContext::enqueue(ops::DeviceStream stream) {
  note("enqueue");
  require(stream != nullptr, "a stream that is not the default one");
  require(scratch_bytes_ > 0 && scratch_ != nullptr, "shapes and scratch memory before enqueue");
  for (const auto& port : compiled_.inputs()) {
    require(addresses_[port.get_any_name()] != nullptr, "an address of input " + port.get_any_name());
  }
  for (const auto& port : compiled_.outputs()) {
    require(addresses_[port.get_any_name()] != nullptr, "an address of output " + port.get_any_name());
  }
  if (launches_.empty() || launches_.back().addresses != addresses_ || launches_.back().scratch != scratch_) {
    launches_.push_back({this, addresses_, scratch_});
  }
  if (told_to("breaks_capture")) static_cast<void>(cudaStreamSynchronize(stream));
  const cudaError_t status = cudaLaunchHostFunc(stream, &DoubleContext::run, &launches_.back());
  require(status == cudaSuccess, std::string("a stream that takes work, which says: ") + cudaGetErrorString(status));
}

void DoubleContext::require(bool sound, const std::string& wanted) const {
  if (!sound) throw Error(ErrorCode::backend, "engine " + network_->name + ": the double wanted " + wanted);
}

/// As on a GPU, what goes wrong now cannot reach who called enqueue.
void DoubleContext::run(void* launch) {
  const auto& self = *static_cast<const Launch*>(launch);
  try {
    self.context->run_on(self);
    note("run");
  } catch (const std::exception& error) {
    note(std::string("failed: ") + error.what());
  }
}

/// Scratch memory holds NaNs before and after, so that nothing can lean on what is there.
void DoubleContext::run_on(const Launch& launch) {
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
    spoil(port.get_any_name(), values, element_count(port), before[index]);
  }
  std::memset(launch.scratch, 0xFF, scratch_bytes_);
}

}  // namespace cardiacseg::tensorrt::test
