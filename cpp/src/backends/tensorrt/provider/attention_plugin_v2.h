#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "backends/tensorrt/provider/attention_plugin_tensors.h"

namespace cardiacseg::tensorrt {

/// Slice attention as TensorRT 8 and 9 want it (NvInferRuntime.h, IPluginV2DynamicExt).
class AttentionPlugin final : public nvinfer1::IPluginV2DynamicExt {
 public:
  explicit AttentionPlugin(const AttentionPluginCore& core) : core_(core) {}

  const char* getPluginType() const noexcept override { return kAttentionName; }
  const char* getPluginVersion() const noexcept override { return kAttentionVersion; }
  const char* getPluginNamespace() const noexcept override { return namespace_.c_str(); }
  void setPluginNamespace(const char* name) noexcept override;

  AttentionPlugin* clone() const noexcept override;
  void destroy() noexcept override { delete this; }
  std::int32_t initialize() noexcept override { return 0; }
  void terminate() noexcept override {}

  std::int32_t getNbOutputs() const noexcept override { return 1; }
  nvinfer1::DataType getOutputDataType(std::int32_t, const nvinfer1::DataType* input_types,
                                       std::int32_t) const noexcept override {
    return input_types[0];
  }
  nvinfer1::DimsExprs getOutputDimensions(std::int32_t index, const nvinfer1::DimsExprs* in, std::int32_t inputs,
                                          nvinfer1::IExprBuilder& builder) noexcept override;
  bool supportsFormatCombination(std::int32_t position, const nvinfer1::PluginTensorDesc* tensors, std::int32_t inputs,
                                 std::int32_t outputs) noexcept override;
  void configurePlugin(const nvinfer1::DynamicPluginTensorDesc* in, std::int32_t inputs,
                       const nvinfer1::DynamicPluginTensorDesc* out, std::int32_t outputs) noexcept override;
  std::size_t getWorkspaceSize(const nvinfer1::PluginTensorDesc* in, std::int32_t inputs,
                               const nvinfer1::PluginTensorDesc* out, std::int32_t outputs) const noexcept override;
  std::int32_t enqueue(const nvinfer1::PluginTensorDesc* input_tensors,
                       const nvinfer1::PluginTensorDesc* output_tensors, const void* const* in, void* const* out,
                       void* scratch, cudaStream_t stream) noexcept override;

  /// Serialised: heads and across_slices, 32 bits each.
  std::size_t getSerializationSize() const noexcept override { return 2 * sizeof(std::int32_t); }
  void serialize(void* buffer) const noexcept override;

 private:
  AttentionPluginCore core_;
  std::string namespace_;
};

class AttentionPluginCreator final : public nvinfer1::IPluginCreator {
 public:
  const char* getPluginName() const noexcept override { return kAttentionName; }
  const char* getPluginVersion() const noexcept override { return kAttentionVersion; }
  const char* getPluginNamespace() const noexcept override { return ""; }
  void setPluginNamespace(const char*) noexcept override {}
  const nvinfer1::PluginFieldCollection* getFieldNames() noexcept override { return &collection_; }
  AttentionPlugin* createPlugin(const char* name, const nvinfer1::PluginFieldCollection* fields) noexcept override;
  AttentionPlugin* deserializePlugin(const char* name, const void* data, std::size_t bytes) noexcept override;

 private:
  std::array<nvinfer1::PluginField, 2> fields_ = attention_fields();
  nvinfer1::PluginFieldCollection collection_{2, fields_.data()};
};

}  // namespace cardiacseg::tensorrt
