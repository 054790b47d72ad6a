#pragma once

#include <NvOnnxParser.h>

#include <memory>

#include "backends/tensorrt/provider.h"
#include "backends/tensorrt/provider/version.h"

namespace cardiacseg::tensorrt {

/// TensorRT's network of a graph, and the parser, in whose memory some of its weights lie.
struct ParsedNetwork {
  std::unique_ptr<nvonnxparser::IParser> parser;
  std::unique_ptr<nvinfer1::INetworkDefinition> network;
};

/// Reads the graph in `request`, which must outlive what is returned. Throws Error(backend) with the parser's words and
/// the node that it stopped at.
ParsedNetwork read_network(nvinfer1::IBuilder& builder, const BuildRequest& request);

}  // namespace cardiacseg::tensorrt
