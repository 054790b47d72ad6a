#include "backends/tensorrt/provider/network.h"

#include <string>
#include <utility>
#include <vector>

#include "backends/tensorrt/provider/float32_layers.h"
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

std::unique_ptr<nvonnxparser::IParser> parse(nvinfer1::INetworkDefinition& network, const BuildRequest& request) {
  const Attempt attempt("cannot take the graph " + request.name);
  std::unique_ptr<nvonnxparser::IParser> parser(static_cast<nvonnxparser::IParser*>(
      attempt.expect(parser_library().create_parser(&network, &logger(), NV_ONNX_PARSER_VERSION))));
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

void keep_in_float32(const nvinfer1::INetworkDefinition& network, const BuildRequest& request) {
  std::vector<std::string> names;
  for (std::int32_t index = 0; index < network.getNbLayers(); ++index) {
    names.emplace_back(network.getLayer(index)->getName());
  }
  const std::vector<bool> wanted = layers_of_nodes(names, request.float32_nodes);
  for (std::int32_t index = 0; index < network.getNbLayers(); ++index) {
    if (wanted[static_cast<std::size_t>(index)]) keep_in_float32(*network.getLayer(index));
  }
}
#endif

}  // namespace

ParsedNetwork read_network(nvinfer1::IBuilder& builder, const BuildRequest& request) {
  const Attempt attempt("cannot start a network for " + request.name);
  std::unique_ptr<nvinfer1::INetworkDefinition> network(attempt.expect(builder.createNetworkV2(network_flags())));
  std::unique_ptr<nvonnxparser::IParser> parser = parse(*network, request);
#if CARDIACSEG_TENSORRT_API < 1000
  if (request.float16) keep_in_float32(*network, request);
#endif
  return {std::move(parser), std::move(network)};
}

}  // namespace cardiacseg::tensorrt
