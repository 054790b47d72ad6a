#pragma once

#include <NvOnnxParser.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backends/tensorrt/provider.h"
#include "backends/tensorrt/provider/tensorrt.h"

/// What a provider does: engines are built from graphs and loaded. Everything throws Error(backend).
namespace cardiacseg::tensorrt {

/// As Provider has them.
BuiltEngine build_engine(const EngineRequest& request, const EngineProgress& progress);
std::unique_ptr<DeviceNetwork> load_engine(const EngineArtifact& artifact);

/// The engine in `plan`; `name` is for messages.
std::unique_ptr<nvinfer1::ICudaEngine> deserialize(const std::string& name, std::span<const std::byte> plan);

/// TensorRT's network of a graph, and the parser, in whose memory some of its weights lie.
struct ParsedNetwork {
  std::unique_ptr<nvonnxparser::IParser> parser;
  std::unique_ptr<nvinfer1::INetworkDefinition> network;
};

/// Reads the graph of `request`, which must outlive what is returned. An error has the parser's words and the node that
/// it stopped at.
ParsedNetwork parse_graph(nvinfer1::IBuilder& builder, const EngineRequest& request);

/// Of the layers that the parser has made, in their order, those of the graph's nodes `nodes`. A layer has the name of
/// its node, followed by _ and a number if another one has that name; further layers of a node lie next to it and
/// are called "(Unnamed Layer* ...". A few adjacent layers count too, since nothing tells them apart.
std::vector<bool> layers_of_nodes(const std::vector<std::string>& layers, const std::vector<std::string>& nodes);

/// How messages call the engine that is asked for.
inline std::string name_of(const EngineRequest& request) { return request.facts.model + " " + request.facts.stage; }

}  // namespace cardiacseg::tensorrt
