#include "backends/openvino/openvino_model.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <openvino/op/add.hpp>
#include <openvino/op/batch_norm.hpp>
#include <openvino/op/constant.hpp>
#include <openvino/op/convolution.hpp>
#include <openvino/op/matmul.hpp>
#include <openvino/op/result.hpp>
#include <unordered_map>
#include <vector>

namespace ov {

/// OpenVINO's libraries export this function; its public headers do not declare it. With `precision` f16 a node
/// computes in float32 in a model that is compiled for f16 or bf16; the CPU plugin ignores a mark for bf16. A version
/// of OpenVINO without the function does not link.
void disable_conversion(const std::shared_ptr<Node>& node, const element::Type& precision);

}  // namespace ov

namespace cardiacseg {
namespace {

using Values = std::vector<double>;

bool constant_values(const ov::Output<ov::Node>& output, Values& values) {
  const auto constant = ov::as_type_ptr<ov::op::v0::Constant>(output.get_node_shared_ptr());
  if (constant) values = constant->cast_vector<double>();
  return constant != nullptr;
}

std::shared_ptr<ov::op::v0::Constant> float_constant(const ov::Shape& shape, const Values& values) {
  return ov::op::v0::Constant::create(ov::element::f32, shape, std::vector<float>(values.begin(), values.end()));
}

/// Replaces `norm` by a convolution with scaled weights and an addition, as fold_constants in export/engine_graph.py
/// does. Does nothing if `norm` does not follow a convolution, or if a value is not a constant.
void fold(const std::shared_ptr<ov::op::v5::BatchNormInference>& norm) {
  const auto convolution = ov::as_type_ptr<ov::op::v1::Convolution>(norm->input_value(0).get_node_shared_ptr());
  if (!convolution || convolution->output(0).get_target_inputs().size() != 1) return;
  Values gain;
  Values shift;
  Values mean;
  Values variance;
  Values weights;
  if (!constant_values(norm->input_value(1), gain) || !constant_values(norm->input_value(2), shift) ||
      !constant_values(norm->input_value(3), mean) || !constant_values(norm->input_value(4), variance) ||
      !constant_values(convolution->input_value(1), weights)) {
    return;
  }
  const ov::Shape shape = convolution->input_value(1).get_shape();
  const std::size_t each = weights.size() / shape[0];
  for (std::size_t channel = 0; channel < shape[0]; ++channel) {
    const double scale = gain[channel] / std::sqrt(variance[channel] + norm->get_eps_value());
    for (std::size_t index = 0; index < each; ++index) weights[channel * each + index] *= scale;
    shift[channel] -= mean[channel] * scale;
  }
  const auto scaled = convolution->clone_with_new_inputs({convolution->input_value(0), float_constant(shape, weights)});
  scaled->set_friendly_name(convolution->get_friendly_name());
  const auto added = std::make_shared<ov::op::v1::Add>(scaled, float_constant({1, shape[0], 1, 1}, shift));
  added->set_friendly_name(norm->get_friendly_name());
  norm->output(0).replace(added->output(0));
}

void fold_batch_norm(ov::Model& model) {
  for (const std::shared_ptr<ov::Node>& node : model.get_ordered_ops()) {
    if (const auto norm = ov::as_type_ptr<ov::op::v5::BatchNormInference>(node)) fold(norm);
  }
}

bool is_layer(const std::shared_ptr<ov::Node>& node) {
  return ov::is_type<ov::op::v1::Convolution>(node) || ov::is_type<ov::op::v1::ConvolutionBackpropData>(node) ||
         ov::is_type<ov::op::v0::MatMul>(node);
}

}  // namespace

void keep_float32_layers(ov::Model& model, const Float32Layers& layers) {
  fold_batch_norm(model);
  const std::vector<std::shared_ptr<ov::Node>> nodes = model.get_ordered_ops();
  const std::int64_t count = std::count_if(nodes.begin(), nodes.end(), is_layer);
  std::int64_t seen = 0;
  for (const std::shared_ptr<ov::Node>& node : nodes) {
    const bool at_start = seen < layers.first;
    const bool layer = is_layer(node);
    if (layer) ++seen;
    const bool at_end = seen > count - layers.last;
    if (at_start || at_end || (!layer && layers.other_operations)) ov::disable_conversion(node, ov::element::f16);
  }
}

namespace {

/// Compiled code and descriptions of layers.
constexpr std::int64_t kCode = 8 << 20;

std::int64_t output_bytes(const ov::Node& node) {
  std::int64_t bytes = 0;
  for (const auto& output : node.outputs()) {
    const std::size_t values = ov::shape_size(output.get_shape());
    bytes += static_cast<std::int64_t>(values * output.get_element_type().size());
  }
  return bytes;
}

}  // namespace

std::int64_t working_bytes(const ov::Model& model) {
  const std::vector<std::shared_ptr<ov::Node>> nodes = model.get_ordered_ops();
  std::unordered_map<const ov::Node*, std::size_t> last_use;
  for (std::size_t index = 0; index < nodes.size(); ++index) {
    for (const auto& input : nodes[index]->input_values()) last_use[input.get_node()] = index;
  }
  std::int64_t weights = 0;
  std::int64_t alive = 0;
  std::int64_t most = 0;
  std::vector<std::int64_t> ending(nodes.size(), 0);
  for (std::size_t index = 0; index < nodes.size(); ++index) {
    const ov::Node& node = *nodes[index];
    const std::int64_t bytes = dynamic_cast<const ov::op::v0::Result*>(&node) != nullptr ? 0 : output_bytes(node);
    if (dynamic_cast<const ov::op::v0::Constant*>(&node) != nullptr) {
      weights += bytes;
      continue;
    }
    alive += bytes;
    most = std::max(most, alive);
    const auto use = last_use.find(&node);
    if (use != last_use.end()) ending[use->second] += bytes;
    alive -= ending[index];
  }
  return most + 2 * weights + kCode;
}

}  // namespace cardiacseg
