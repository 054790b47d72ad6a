#include "backends/tensorrt/provider/float32_layers.h"

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace cardiacseg::tensorrt {
namespace {

bool is_layer_of(std::string_view node, std::string_view layer) {
  if (layer.substr(0, node.size()) != node) return false;
  const std::string_view rest = layer.substr(node.size());
  return rest.empty() ||
         (rest.size() > 1 && rest[0] == '_' && rest.find_first_not_of("0123456789", 1) == std::string_view::npos);
}

bool is_unnamed(std::string_view layer) { return layer.substr(0, 8) == "(Unnamed"; }

}  // namespace

std::vector<bool> layers_of_nodes(const std::vector<std::string>& layers, const std::vector<std::string>& nodes) {
  std::vector<bool> named(layers.size());
  std::transform(layers.begin(), layers.end(), named.begin(), [&](const std::string& layer) {
    return std::any_of(nodes.begin(), nodes.end(), [&](const std::string& node) { return is_layer_of(node, layer); });
  });
  std::vector<bool> found = named;
  for (std::size_t index = 1; index < layers.size(); ++index) {
    if (is_unnamed(layers[index]) && found[index - 1]) found[index] = true;
  }
  for (std::size_t index = layers.size(); index-- > 1;) {
    if (is_unnamed(layers[index - 1]) && named[index]) named[index - 1] = true;
    if (named[index - 1]) found[index - 1] = true;
  }
  return found;
}

}  // namespace cardiacseg::tensorrt
