#pragma once

#include <memory>
#include <openvino/openvino.hpp>
#include <string>

namespace cardiacseg::tensorrt::fake {

/// OpenVINO, which also knows the nodes of the plugin.
ov::Core& core();

/// A graph as TensorRT gets it. Throws what OpenVINO throws.
std::shared_ptr<ov::Model> read_graph(const std::string& onnx);

}  // namespace cardiacseg::tensorrt::fake
