#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "backends/tensorrt/provider/attention_plugin.h"

/// The plugin object of whichever TensorRT the headers are of, made, asked and run as TensorRT does it.
namespace cardiacseg::test {

using tensorrt::AttentionPlugin;
using tensorrt::AttentionPluginCreator;

enum class Phase { build, run };

inline std::unique_ptr<AttentionPlugin> create(const nvinfer1::PluginFieldCollection& fields) {
  AttentionPluginCreator creator;
#if CARDIACSEG_TENSORRT_API >= 1000
  return std::unique_ptr<AttentionPlugin>(creator.createPlugin("", &fields, nvinfer1::TensorRTPhase::kBUILD));
#else
  return std::unique_ptr<AttentionPlugin>(creator.createPlugin("", &fields));
#endif
}

/// As the builder's, null if the attributes are refused.
inline std::unique_ptr<AttentionPlugin> create(std::int32_t heads, std::int32_t across_slices) {
  const auto fields = tensorrt::attention_fields(&heads, &across_slices);
  return create({static_cast<std::int32_t>(fields.size()), fields.data()});
}

/// As the runtime gets it from an engine.
inline std::unique_ptr<AttentionPlugin> restored([[maybe_unused]] AttentionPlugin& plugin) {
  AttentionPluginCreator creator;
#if CARDIACSEG_TENSORRT_API >= 1000
  return std::unique_ptr<AttentionPlugin>(
      creator.createPlugin("", plugin.getFieldsToSerialize(), nvinfer1::TensorRTPhase::kRUNTIME));
#else
  std::vector<char> bytes(plugin.getSerializationSize());
  plugin.serialize(bytes.data());
  return std::unique_ptr<AttentionPlugin>(creator.deserializePlugin("", bytes.data(), bytes.size()));
#endif
}

using Tensors = std::array<nvinfer1::PluginTensorDesc, 3>;  ///< qkv, cu_slices, output

inline nvinfer1::PluginTensorDesc describe(nvinfer1::DataType type, const std::vector<std::int64_t>& shape,
                                           nvinfer1::TensorFormat format = nvinfer1::TensorFormat::kLINEAR) {
  nvinfer1::PluginTensorDesc tensor{};
  tensor.dims = tensorrt::dims_of("a tensor", shape);
  tensor.type = type;
  tensor.format = format;
  tensor.scale = 1;
  return tensor;
}

inline std::array<nvinfer1::DynamicPluginTensorDesc, 3> in_profile(const Tensors& tensors) {
  std::array<nvinfer1::DynamicPluginTensorDesc, 3> found{};
  for (std::size_t index = 0; index < 3; ++index) {
    found[index].desc = tensors[index];
    found[index].min = found[index].max = tensors[index].dims;
  }
  return found;
}

inline bool supports(AttentionPlugin& plugin, std::int32_t position, const Tensors& tensors) {
#if CARDIACSEG_TENSORRT_API >= 1000
  const auto dynamic = in_profile(tensors);
  return plugin.supportsFormatCombination(position, dynamic.data(), 2, 1);
#else
  return plugin.supportsFormatCombination(position, tensors.data(), 2, 1);
#endif
}

inline std::size_t workspace(const AttentionPlugin& plugin, const Tensors& tensors) {
#if CARDIACSEG_TENSORRT_API >= 1000
  const auto dynamic = in_profile(tensors);
  return plugin.getWorkspaceSize(dynamic.data(), 2, &dynamic[2], 1);
#else
  return plugin.getWorkspaceSize(tensors.data(), 2, &tensors[2], 1);
#endif
}

/// Whether the plugin takes these shapes before it runs; its second kind cannot refuse.
inline bool accepts(AttentionPlugin& plugin, const Tensors& tensors) {
  const auto dynamic = in_profile(tensors);
#if CARDIACSEG_TENSORRT_API >= 1000
  const bool configured = plugin.configurePlugin(dynamic.data(), 2, &dynamic[2], 1) == 0;
  return plugin.onShapeChange(tensors.data(), 2, &tensors[2], 1) == 0 && configured;
#else
  const std::uint64_t before = tensorrt::logger().count();
  plugin.configurePlugin(dynamic.data(), 2, &dynamic[2], 1);
  return tensorrt::logger().count() == before;
#endif
}

}  // namespace cardiacseg::test
