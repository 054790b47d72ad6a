#include <algorithm>
#include <string_view>
#include <utility>

#include "backends/tensorrt/provider/engine.h"
#include "backends/tensorrt/provider/library.h"
#include "backends/tensorrt/provider/logger.h"
#include "cardiacseg/error.h"

namespace cardiacseg::tensorrt {
namespace {

constexpr std::uint32_t network_flags() {
#if CARDIACSEG_TENSORRT_API < 1000
  return 1U << static_cast<std::uint32_t>(nvinfer1::NetworkDefinitionCreationFlag::kEXPLICIT_BATCH);
#elif CARDIACSEG_TENSORRT_API < 1100
  return 1U << static_cast<std::uint32_t>(nvinfer1::NetworkDefinitionCreationFlag::kSTRONGLY_TYPED);
#else
  return 0;
#endif
}

std::string describe(const nvonnxparser::IParserError& error) {
  std::string where = error.node() < 0 ? "" : "node " + std::to_string(error.node());
#if CARDIACSEG_TENSORRT_API >= 1000
  if (error.node() >= 0) where += std::string(" ") + error.nodeName() + " (" + error.nodeOperator() + ")";
#endif
  return (where.empty() ? "" : where + ": ") + error.desc();
}

std::unique_ptr<nvonnxparser::IParser> parse(nvinfer1::INetworkDefinition& network, const EngineRequest& request) {
  const Attempt attempt("cannot take the graph " + name_of(request));
  std::unique_ptr<nvonnxparser::IParser> parser(static_cast<nvonnxparser::IParser*>(
      attempt.expect(parser_library()(&network, &logger(), NV_ONNX_PARSER_VERSION))));
  if (parser->parse(request.onnx.data(), request.onnx.size())) return parser;
  for (int index = 0; index < parser->getNbErrors(); ++index) logger().note(describe(*parser->getError(index)));
  attempt.fail();
}

#if CARDIACSEG_TENSORRT_API < 1000
/// Keeps a layer that computes with numbers, not with shapes, in 32 bits.
void keep_in_float32(nvinfer1::ILayer& layer) {
  for (std::int32_t index = 0; index < layer.getNbOutputs(); ++index) {
    if (layer.getOutput(index)->getType() != nvinfer1::DataType::kFLOAT) return;
  }
  layer.setPrecision(nvinfer1::DataType::kFLOAT);
  for (std::int32_t index = 0; index < layer.getNbOutputs(); ++index) {
    layer.setOutputType(index, nvinfer1::DataType::kFLOAT);
  }
}

void keep_in_float32(const nvinfer1::INetworkDefinition& network, const EngineRequest& request) {
  std::vector<std::string> names;
  for (std::int32_t index = 0; index < network.getNbLayers(); ++index) {
    names.emplace_back(network.getLayer(index)->getName());
  }
  const std::vector<bool> in_float32 = layers_of_nodes(names, request.float32_nodes);
  for (std::int32_t index = 0; index < network.getNbLayers(); ++index) {
    if (in_float32[static_cast<std::size_t>(index)]) keep_in_float32(*network.getLayer(index));
  }
}
#endif

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

ParsedNetwork parse_graph(nvinfer1::IBuilder& builder, const EngineRequest& request) {
  const Attempt attempt("cannot start a network for " + name_of(request));
  std::unique_ptr<nvinfer1::INetworkDefinition> network(attempt.expect(builder.createNetworkV2(network_flags())));
  std::unique_ptr<nvonnxparser::IParser> parser = parse(*network, request);
#if CARDIACSEG_TENSORRT_API < 1000
  if (request.facts.precision == "fp16") keep_in_float32(*network, request);
#endif
  return {std::move(parser), std::move(network)};
}

}  // namespace cardiacseg::tensorrt
