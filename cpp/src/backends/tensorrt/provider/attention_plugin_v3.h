#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "backends/tensorrt/provider/attention_plugin_tensors.h"

namespace cardiacseg::tensorrt {

/// Slice attention as TensorRT 10 and later want it (NvInferRuntime.h, IPluginV3).
class AttentionPlugin final : public nvinfer1::IPluginV3,
                              public nvinfer1::IPluginV3OneCore,
                              public nvinfer1::IPluginV3OneBuild,
                              public nvinfer1::IPluginV3OneRuntime {
 public:
  explicit AttentionPlugin(const AttentionPluginCore& core) : core_(core) {}

  nvinfer1::IPluginCapability* getCapabilityInterface(nvinfer1::PluginCapabilityType type) noexcept override;
  AttentionPlugin* clone() noexcept override;

  const char* getPluginName() const noexcept override { return kAttentionName; }
  const char* getPluginVersion() const noexcept override { return kAttentionVersion; }
  const char* getPluginNamespace() const noexcept override { return ""; }

  std::int32_t getNbOutputs() const noexcept override { return 1; }
  std::int32_t configurePlugin(const nvinfer1::DynamicPluginTensorDesc* in, std::int32_t inputs,
                               const nvinfer1::DynamicPluginTensorDesc* out, std::int32_t outputs) noexcept override;
  std::int32_t getOutputDataTypes(nvinfer1::DataType* types, std::int32_t outputs,
                                  const nvinfer1::DataType* input_types, std::int32_t inputs) const noexcept override;
  std::int32_t getOutputShapes(const nvinfer1::DimsExprs* in, std::int32_t inputs, const nvinfer1::DimsExprs* values,
                               std::int32_t value_count, nvinfer1::DimsExprs* out, std::int32_t outputs,
                               nvinfer1::IExprBuilder& builder) noexcept override;
  bool supportsFormatCombination(std::int32_t position, const nvinfer1::DynamicPluginTensorDesc* tensors,
                                 std::int32_t inputs, std::int32_t outputs) noexcept override;
  std::size_t getWorkspaceSize(const nvinfer1::DynamicPluginTensorDesc* in, std::int32_t inputs,
                               const nvinfer1::DynamicPluginTensorDesc* out,
                               std::int32_t outputs) const noexcept override;

  std::int32_t onShapeChange(const nvinfer1::PluginTensorDesc* in, std::int32_t inputs,
                             const nvinfer1::PluginTensorDesc* out, std::int32_t outputs) noexcept override;
  std::int32_t enqueue(const nvinfer1::PluginTensorDesc* input_tensors,
                       const nvinfer1::PluginTensorDesc* output_tensors, const void* const* in, void* const* out,
                       void* scratch, cudaStream_t stream) noexcept override;
  nvinfer1::IPluginV3* attachToContext(nvinfer1::IPluginResourceContext*) noexcept override { return clone(); }
  const nvinfer1::PluginFieldCollection* getFieldsToSerialize() noexcept override;

 private:
  AttentionPluginCore core_;
  std::array<std::int32_t, 2> values_{};
  std::array<nvinfer1::PluginField, 2> fields_;
  nvinfer1::PluginFieldCollection collection_{};
};

class AttentionPluginCreator final : public nvinfer1::IPluginCreatorV3One {
 public:
  AttentionPlugin* createPlugin(const char* name, const nvinfer1::PluginFieldCollection* fields,
                                nvinfer1::TensorRTPhase phase) noexcept override;
  const nvinfer1::PluginFieldCollection* getFieldNames() noexcept override { return &collection_; }
  const char* getPluginName() const noexcept override { return kAttentionName; }
  const char* getPluginVersion() const noexcept override { return kAttentionVersion; }
  const char* getPluginNamespace() const noexcept override { return ""; }

 private:
  std::array<nvinfer1::PluginField, 2> fields_ = attention_fields();
  nvinfer1::PluginFieldCollection collection_{2, fields_.data()};
};

}  // namespace cardiacseg::tensorrt
