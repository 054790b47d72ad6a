#pragma once

#include <algorithm>
#include <array>
#include <exception>
#include <stdexcept>
#include <string>

#include "backends/tensorrt/provider/attention_plugin_core.h"
#include "backends/tensorrt/provider/dims.h"
#include "backends/tensorrt/provider/logger.h"

/// What both kinds of plugin object, TensorRT's second and its third, do alike.
namespace cardiacseg::tensorrt {

inline constexpr const char* kAttentionName = "SliceAttention";
inline constexpr const char* kAttentionVersion = "1";
inline constexpr std::int32_t kAttentionInputs = 2;

inline PluginTensor plugin_tensor(const nvinfer1::PluginTensorDesc& tensor) {
  return {element_type(tensor.type), tensor.format == nvinfer1::TensorFormat::kLINEAR, shape_of(tensor.dims)};
}

/// With the largest shape that the profile allows.
inline PluginTensor plugin_tensor(const nvinfer1::DynamicPluginTensorDesc& tensor) {
  PluginTensor found = plugin_tensor(tensor.desc);
  found.shape = shape_of(tensor.max);
  return found;
}

/// `tensors` are the inputs, then the output; those after `position` are not known yet.
template <class Tensor>
bool supports_tensor(std::int32_t position, const Tensor* tensors, std::int32_t inputs, std::int32_t outputs) {
  if (inputs != kAttentionInputs || outputs != 1 || position < 0 || position > kAttentionInputs) return false;
  return AttentionPluginCore::supports(static_cast<PluginTensors>(position), plugin_tensor(tensors[position]),
                                       plugin_tensor(tensors[0]));
}

/// [slices, positions, channels] of [slices, positions, 3 * channels].
inline nvinfer1::DimsExprs output_shape(const nvinfer1::DimsExprs& qkv, nvinfer1::IExprBuilder& builder) {
  if (qkv.nbDims != 3) {
    throw std::invalid_argument("qkv of SliceAttention: wanted 3 dimensions, got " + std::to_string(qkv.nbDims));
  }
  nvinfer1::DimsExprs output = qkv;
  output.d[2] = builder.operation(nvinfer1::DimensionOperation::kFLOOR_DIV, *qkv.d[2], *builder.constant(3));
  return output;
}

inline std::array<nvinfer1::PluginField, 2> attention_fields(const std::int32_t* heads = nullptr,
                                                             const std::int32_t* across_slices = nullptr) {
  return {nvinfer1::PluginField{"heads", heads, nvinfer1::PluginFieldType::kINT32, 1},
          nvinfer1::PluginField{"across_slices", across_slices, nvinfer1::PluginFieldType::kINT32, 1}};
}

/// Throws std::invalid_argument where an attribute is missing.
inline std::int32_t attention_field(const nvinfer1::PluginFieldCollection& fields, const std::string& name) {
  const auto* end = fields.fields + fields.nbFields;
  const auto* field = std::find_if(fields.fields, end, [&](const auto& one) { return one.name == name; });
  if (field != end && field->data != nullptr && field->length == 1 &&
      field->type == nvinfer1::PluginFieldType::kINT32) {
    return *static_cast<const std::int32_t*>(field->data);
  }
  throw std::invalid_argument("SliceAttention: wanted the attribute " + name + " as one integer, got none");
}

inline AttentionPluginCore core_of(const nvinfer1::PluginFieldCollection* fields, bool building) {
  if (fields == nullptr) throw std::invalid_argument("SliceAttention: wanted attributes, got none");
  return {attention_field(*fields, "heads"), attention_field(*fields, "across_slices"), building};
}

/// What `action` gives, or `otherwise` where it throws: the logger keeps its words.
template <class Action, class Result>
Result guarded(const Action& action, Result otherwise) noexcept {
  try {
    return action();
  } catch (const std::exception& error) {
    logger().note(error.what());
    return otherwise;
  }
}

inline std::int32_t check_inputs(const AttentionPluginCore& core, const PluginTensor& qkv,
                                 const PluginTensor& cu_slices) {
  core.shape_of(qkv, cu_slices);
  return 0;
}

/// TensorRT's `enqueue`: 0, or 1 where it fails.
inline std::int32_t enqueue_attention(AttentionPluginCore& core, const nvinfer1::PluginTensorDesc* inputs,
                                      const void* const* in, void* const* out, void* scratch,
                                      ops::DeviceStream stream) noexcept {
  return guarded(
      [&] {
        core.launch(plugin_tensor(inputs[0]), plugin_tensor(inputs[1]), {in[0], in[1], out[0], scratch}, stream);
        return 0;
      },
      1);
}

}  // namespace cardiacseg::tensorrt
