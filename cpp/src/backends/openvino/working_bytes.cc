#include "backends/openvino/working_bytes.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <openvino/op/constant.hpp>
#include <openvino/op/result.hpp>
#include <unordered_map>
#include <vector>

namespace cardiacseg {
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
