#include "backends/tensorrt/provider/version.h"

#if CARDIACSEG_TENSORRT_API >= 1000
#include "backends/tensorrt/provider/attention_plugin_v3.h"

namespace cardiacseg::tensorrt {

nvinfer1::IPluginCapability* AttentionPlugin::getCapabilityInterface(nvinfer1::PluginCapabilityType type) noexcept {
  if (type == nvinfer1::PluginCapabilityType::kCORE) return static_cast<nvinfer1::IPluginV3OneCore*>(this);
  if (type == nvinfer1::PluginCapabilityType::kBUILD) return static_cast<nvinfer1::IPluginV3OneBuild*>(this);
  if (type == nvinfer1::PluginCapabilityType::kRUNTIME) return static_cast<nvinfer1::IPluginV3OneRuntime*>(this);
  return nullptr;
}

AttentionPlugin* AttentionPlugin::clone() noexcept {
  return guarded([&] { return new AttentionPlugin(core_); }, static_cast<AttentionPlugin*>(nullptr));
}

std::int32_t AttentionPlugin::configurePlugin(const nvinfer1::DynamicPluginTensorDesc* in, std::int32_t,
                                              const nvinfer1::DynamicPluginTensorDesc*, std::int32_t) noexcept {
  return guarded([&] { return check_inputs(core_, plugin_tensor(in[0]), plugin_tensor(in[1])); }, 1);
}

std::int32_t AttentionPlugin::getOutputDataTypes(nvinfer1::DataType* types, std::int32_t outputs,
                                                 const nvinfer1::DataType* input_types,
                                                 std::int32_t inputs) const noexcept {
  if (inputs != kAttentionInputs || outputs != 1) return 1;
  types[0] = input_types[0];
  return 0;
}

std::int32_t AttentionPlugin::getOutputShapes(const nvinfer1::DimsExprs* in, std::int32_t inputs,
                                              const nvinfer1::DimsExprs*, std::int32_t, nvinfer1::DimsExprs* out,
                                              std::int32_t outputs, nvinfer1::IExprBuilder& builder) noexcept {
  if (inputs != kAttentionInputs || outputs != 1) return 1;
  return guarded(
      [&] {
        out[0] = output_shape(in[0], builder);
        return 0;
      },
      1);
}

bool AttentionPlugin::supportsFormatCombination(std::int32_t position, const nvinfer1::DynamicPluginTensorDesc* tensors,
                                                std::int32_t inputs, std::int32_t outputs) noexcept {
  return guarded([&] { return supports_tensor(position, tensors, inputs, outputs); }, false);
}

std::size_t AttentionPlugin::getWorkspaceSize(const nvinfer1::DynamicPluginTensorDesc* in, std::int32_t,
                                              const nvinfer1::DynamicPluginTensorDesc*, std::int32_t) const noexcept {
  return core_.scratch_bytes(in[1].max.d[0] - 1);
}

std::int32_t AttentionPlugin::onShapeChange(const nvinfer1::PluginTensorDesc* in, std::int32_t,
                                            const nvinfer1::PluginTensorDesc*, std::int32_t) noexcept {
  return guarded([&] { return check_inputs(core_, plugin_tensor(in[0]), plugin_tensor(in[1])); }, 1);
}

std::int32_t AttentionPlugin::enqueue(const nvinfer1::PluginTensorDesc* input_tensors,
                                      const nvinfer1::PluginTensorDesc*, const void* const* in, void* const* out,
                                      void* scratch, cudaStream_t stream) noexcept {
  return enqueue_attention(core_, input_tensors, in, out, scratch, stream);
}

const nvinfer1::PluginFieldCollection* AttentionPlugin::getFieldsToSerialize() noexcept {
  values_ = {core_.heads(), core_.across_slices()};
  fields_ = attention_fields(&values_[0], &values_[1]);
  collection_ = {2, fields_.data()};
  return &collection_;
}

AttentionPlugin* AttentionPluginCreator::createPlugin(const char*, const nvinfer1::PluginFieldCollection* fields,
                                                      nvinfer1::TensorRTPhase phase) noexcept {
  const bool building = phase == nvinfer1::TensorRTPhase::kBUILD;
  return guarded([&] { return new AttentionPlugin(core_of(fields, building)); },
                 static_cast<AttentionPlugin*>(nullptr));
}

}  // namespace cardiacseg::tensorrt
#endif
