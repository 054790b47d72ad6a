#include "backends/tensorrt/provider/version.h"

#if CARDIACSEG_TENSORRT_API < 1000
#include <cstring>

#include "backends/tensorrt/provider/attention_plugin_v2.h"

namespace cardiacseg::tensorrt {
namespace {

constexpr AttentionPlugin* kNone = nullptr;

}  // namespace

void AttentionPlugin::setPluginNamespace(const char* name) noexcept {
  guarded([&] { return (namespace_ = name, 0); }, 1);
}

AttentionPlugin* AttentionPlugin::clone() const noexcept {
  return guarded(
      [&] {
        auto* copy = new AttentionPlugin(core_);
        copy->setPluginNamespace(namespace_.c_str());
        return copy;
      },
      kNone);
}

nvinfer1::DimsExprs AttentionPlugin::getOutputDimensions(std::int32_t, const nvinfer1::DimsExprs* in, std::int32_t,
                                                         nvinfer1::IExprBuilder& builder) noexcept {
  return guarded([&] { return output_shape(in[0], builder); }, nvinfer1::DimsExprs{-1, {}});
}

bool AttentionPlugin::supportsFormatCombination(std::int32_t position, const nvinfer1::PluginTensorDesc* tensors,
                                                std::int32_t inputs, std::int32_t outputs) noexcept {
  return guarded([&] { return supports_tensor(position, tensors, inputs, outputs); }, false);
}

/// Cannot refuse: what does not fit is logged, and refused by `enqueue`.
void AttentionPlugin::configurePlugin(const nvinfer1::DynamicPluginTensorDesc* in, std::int32_t,
                                      const nvinfer1::DynamicPluginTensorDesc*, std::int32_t) noexcept {
  guarded([&] { return check_inputs(core_, plugin_tensor(in[0]), plugin_tensor(in[1])); }, 1);
}

std::size_t AttentionPlugin::getWorkspaceSize(const nvinfer1::PluginTensorDesc* in, std::int32_t,
                                              const nvinfer1::PluginTensorDesc*, std::int32_t) const noexcept {
  return core_.scratch_bytes(in[1].dims.d[0] - 1);
}

std::int32_t AttentionPlugin::enqueue(const nvinfer1::PluginTensorDesc* input_tensors,
                                      const nvinfer1::PluginTensorDesc*, const void* const* in, void* const* out,
                                      void* scratch, cudaStream_t stream) noexcept {
  return enqueue_attention(core_, input_tensors, in, out, scratch, stream);
}

void AttentionPlugin::serialize(void* buffer) const noexcept {
  const std::int32_t values[2] = {core_.heads(), core_.across_slices()};
  std::memcpy(buffer, values, sizeof values);
}

AttentionPlugin* AttentionPluginCreator::createPlugin(const char*,
                                                      const nvinfer1::PluginFieldCollection* fields) noexcept {
  return guarded([&] { return new AttentionPlugin(core_of(fields, true)); }, kNone);
}

AttentionPlugin* AttentionPluginCreator::deserializePlugin(const char*, const void* data, std::size_t bytes) noexcept {
  return guarded(
      [&] {
        std::int32_t values[2] = {};
        if (data == nullptr || bytes != sizeof values) {
          throw std::invalid_argument("SliceAttention: wanted 8 bytes of a serialised plugin, got " +
                                      std::to_string(bytes));
        }
        std::memcpy(values, data, sizeof values);
        return new AttentionPlugin({values[0], values[1], false});
      },
      kNone);
}

}  // namespace cardiacseg::tensorrt
#endif
