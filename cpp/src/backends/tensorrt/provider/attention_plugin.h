#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#include "backends/tensorrt/provider/logger.h"
#include "backends/tensorrt/provider/tensorrt.h"
#include "ops/slice_attention.h"

/// The plugin that gives TensorRT our slice attention: ONNX nodes with op_type `SliceAttention` become it.
///   inputs      qkv        [slices, positions, 3 * channels], float16 or float32; slices of all stacks, one after
///   another
///               cu_slices  [stacks + 1], int32: where each stack begins (ops/slice_attention.h)
///   output      [slices, positions, channels], of qkv's type
///   attributes  heads, across_slices (1: inter-slice, 0: intra-slice attention), plugin_version "1",
///               plugin_namespace ""
namespace cardiacseg::tensorrt {

inline constexpr const char* kAttentionName = "SliceAttention";
inline constexpr const char* kAttentionVersion = "1";

using PluginTensor = nvinfer1::PluginTensorDesc;
using DynamicPluginTensor = nvinfer1::DynamicPluginTensorDesc;

/// With the largest shape that the profile allows.
inline PluginTensor largest(const DynamicPluginTensor& tensor) {
  PluginTensor found = tensor.desc;
  found.dims = tensor.max;
  return found;
}

/// What the plugin does, whatever the kind of object that TensorRT wants of it. Throws std::invalid_argument, and
/// cuda::CudaError if a launch fails.
class SliceAttention {
 public:
  SliceAttention(std::int32_t heads, std::int32_t across_slices, bool building);

  /// From the attributes of a node.
  SliceAttention(const nvinfer1::PluginFieldCollection* fields, bool building);

  std::int32_t heads() const { return heads_; }
  std::int32_t across_slices() const { return across_slices_; }

  /// Whether type and order of tensor `position` (qkv, cu_slices, output) will do; `qkv` is what was chosen for it.
  static bool supports(std::int32_t position, const PluginTensor& tensor, const PluginTensor& qkv);

  /// [slices, positions, channels] of [slices, positions, 3 * channels].
  static nvinfer1::DimsExprs output_shape(const nvinfer1::DimsExprs& qkv, nvinfer1::IExprBuilder& builder);

  /// Throws unless the inputs fit each other and the attributes.
  ops::AttentionShape shape_of(const PluginTensor& qkv, const PluginTensor& cu_slices) const;

  /// Device memory that `launch` works in.
  std::size_t scratch_bytes(std::int64_t stacks) const;

  /// `in` holds qkv and cu_slices.
  void launch(const PluginTensor* tensors, const void* const* in, void* output, void* scratch, cudaStream_t stream);

 private:
  std::int32_t heads_;
  std::int32_t across_slices_;
  bool building_;                   ///< TensorRT times plugins on uninitialized memory: cu_slices has no meaning then
  std::vector<std::int32_t> even_;  ///< what is used instead; the copy of it may still be under way
};

inline std::array<nvinfer1::PluginField, 2> attention_fields(const std::int32_t* heads = nullptr,
                                                             const std::int32_t* across_slices = nullptr) {
  return {nvinfer1::PluginField{"heads", heads, nvinfer1::PluginFieldType::kINT32, 1},
          nvinfer1::PluginField{"across_slices", across_slices, nvinfer1::PluginFieldType::kINT32, 1}};
}

/// What `action` gives, or `otherwise` if it throws; the logger keeps the message.
template <class Action, class Result>
Result guarded(const Action& action, Result otherwise) noexcept {
  try {
    return action();
  } catch (const std::exception& error) {
    logger().note(error.what());
    return otherwise;
  }
}

#if CARDIACSEG_TENSORRT_API >= 1000
using PluginBase = nvinfer1::IPluginV3;
using CreatorBase = nvinfer1::IPluginCreatorV3One;
#else
using PluginBase = nvinfer1::IPluginV2DynamicExt;
using CreatorBase = nvinfer1::IPluginCreator;
#endif

/// As TensorRT 10 and later (IPluginV3) or 8 and 9 (IPluginV2DynamicExt) want it; NvInferRuntime.h says what each
/// function is for.
class AttentionPlugin final : public PluginBase
#if CARDIACSEG_TENSORRT_API >= 1000
    ,
                              public nvinfer1::IPluginV3OneCore,
                              public nvinfer1::IPluginV3OneBuild,
                              public nvinfer1::IPluginV3OneRuntime
#endif
{
 public:
  explicit AttentionPlugin(const SliceAttention& attention) : attention_(attention) {}

  const char* getPluginVersion() const noexcept override { return kAttentionVersion; }
  std::int32_t getNbOutputs() const noexcept override { return 1; }
  std::int32_t enqueue(const PluginTensor* tensors, const PluginTensor*, const void* const* in, void* const* out,
                       void* scratch, cudaStream_t stream) noexcept override {
    return guarded([&] { return attention_.launch(tensors, in, out[0], scratch, stream), 0; }, 1);
  }

#if CARDIACSEG_TENSORRT_API >= 1000
  const char* getPluginName() const noexcept override { return kAttentionName; }
  const char* getPluginNamespace() const noexcept override { return ""; }
  nvinfer1::IPluginCapability* getCapabilityInterface(nvinfer1::PluginCapabilityType type) noexcept override {
    if (type == nvinfer1::PluginCapabilityType::kCORE) return static_cast<nvinfer1::IPluginV3OneCore*>(this);
    if (type == nvinfer1::PluginCapabilityType::kBUILD) return static_cast<nvinfer1::IPluginV3OneBuild*>(this);
    if (type == nvinfer1::PluginCapabilityType::kRUNTIME) return static_cast<nvinfer1::IPluginV3OneRuntime*>(this);
    return nullptr;
  }
  AttentionPlugin* clone() noexcept override {
    return guarded([&] { return new AttentionPlugin(attention_); }, static_cast<AttentionPlugin*>(nullptr));
  }
  nvinfer1::IPluginV3* attachToContext(nvinfer1::IPluginResourceContext*) noexcept override { return clone(); }

  std::int32_t getOutputDataTypes(nvinfer1::DataType* types, std::int32_t outputs,
                                  const nvinfer1::DataType* input_types, std::int32_t inputs) const noexcept override {
    if (inputs != 2 || outputs != 1) return 1;
    types[0] = input_types[0];
    return 0;
  }
  std::int32_t getOutputShapes(const nvinfer1::DimsExprs* in, std::int32_t inputs, const nvinfer1::DimsExprs*,
                               std::int32_t, nvinfer1::DimsExprs* out, std::int32_t outputs,
                               nvinfer1::IExprBuilder& builder) noexcept override {
    if (inputs != 2 || outputs != 1) return 1;
    return guarded([&] { return out[0] = SliceAttention::output_shape(in[0], builder), 0; }, 1);
  }
  bool supportsFormatCombination(std::int32_t position, const DynamicPluginTensor* tensors, std::int32_t inputs,
                                 std::int32_t outputs) noexcept override {
    return inputs == 2 && outputs == 1 && position >= 0 && position <= 2 &&
           SliceAttention::supports(position, tensors[position].desc, tensors[0].desc);
  }
  std::int32_t configurePlugin(const DynamicPluginTensor* in, std::int32_t, const DynamicPluginTensor*,
                               std::int32_t) noexcept override {
    return check(largest(in[0]), largest(in[1]));
  }
  std::int32_t onShapeChange(const PluginTensor* in, std::int32_t, const PluginTensor*,
                             std::int32_t) noexcept override {
    return check(in[0], in[1]);
  }
  std::size_t getWorkspaceSize(const DynamicPluginTensor* in, std::int32_t, const DynamicPluginTensor*,
                               std::int32_t) const noexcept override {
    return attention_.scratch_bytes(in[1].max.d[0] - 1);
  }
  const nvinfer1::PluginFieldCollection* getFieldsToSerialize() noexcept override {
    values_ = {attention_.heads(), attention_.across_slices()};
    fields_ = attention_fields(&values_[0], &values_[1]);
    collection_ = {2, fields_.data()};
    return &collection_;
  }
#else
  const char* getPluginType() const noexcept override { return kAttentionName; }
  const char* getPluginNamespace() const noexcept override { return namespace_.c_str(); }
  void setPluginNamespace(const char* name) noexcept override {
    guarded([&] { return namespace_ = name, 0; }, 1);
  }
  AttentionPlugin* clone() const noexcept override {
    return guarded([&] { return new AttentionPlugin(*this); }, static_cast<AttentionPlugin*>(nullptr));
  }
  void destroy() noexcept override { delete this; }
  std::int32_t initialize() noexcept override { return 0; }
  void terminate() noexcept override {}

  nvinfer1::DataType getOutputDataType(std::int32_t, const nvinfer1::DataType* input_types,
                                       std::int32_t) const noexcept override {
    return input_types[0];
  }
  nvinfer1::DimsExprs getOutputDimensions(std::int32_t, const nvinfer1::DimsExprs* in, std::int32_t,
                                          nvinfer1::IExprBuilder& builder) noexcept override {
    return guarded([&] { return SliceAttention::output_shape(in[0], builder); }, nvinfer1::DimsExprs{-1, {}});
  }
  bool supportsFormatCombination(std::int32_t position, const PluginTensor* tensors, std::int32_t inputs,
                                 std::int32_t outputs) noexcept override {
    return inputs == 2 && outputs == 1 && position >= 0 && position <= 2 &&
           SliceAttention::supports(position, tensors[position], tensors[0]);
  }
  /// Cannot refuse: what does not fit is logged, and refused by `enqueue`.
  void configurePlugin(const DynamicPluginTensor* in, std::int32_t, const DynamicPluginTensor*,
                       std::int32_t) noexcept override {
    check(largest(in[0]), largest(in[1]));
  }
  std::size_t getWorkspaceSize(const PluginTensor* in, std::int32_t, const PluginTensor*,
                               std::int32_t) const noexcept override {
    return attention_.scratch_bytes(in[1].dims.d[0] - 1);
  }
  /// Serialized: heads and across_slices, 32 bits each.
  std::size_t getSerializationSize() const noexcept override { return 2 * sizeof(std::int32_t); }
  void serialize(void* buffer) const noexcept override {
    const std::int32_t values[2] = {attention_.heads(), attention_.across_slices()};
    std::memcpy(buffer, values, sizeof values);
  }
#endif

 private:
  std::int32_t check(const PluginTensor& qkv, const PluginTensor& cu_slices) noexcept {
    return guarded([&] { return attention_.shape_of(qkv, cu_slices), 0; }, 1);
  }

  SliceAttention attention_;
#if CARDIACSEG_TENSORRT_API >= 1000
  std::array<std::int32_t, 2> values_{};
  std::array<nvinfer1::PluginField, 2> fields_;
  nvinfer1::PluginFieldCollection collection_{};
#else
  std::string namespace_;
#endif
};

class AttentionPluginCreator final : public CreatorBase {
 public:
  const char* getPluginName() const noexcept override { return kAttentionName; }
  const char* getPluginVersion() const noexcept override { return kAttentionVersion; }
  const char* getPluginNamespace() const noexcept override { return ""; }
  const nvinfer1::PluginFieldCollection* getFieldNames() noexcept override { return &collection_; }

#if CARDIACSEG_TENSORRT_API >= 1000
  AttentionPlugin* createPlugin(const char*, const nvinfer1::PluginFieldCollection* fields,
                                nvinfer1::TensorRTPhase phase) noexcept override {
    return create(fields, phase == nvinfer1::TensorRTPhase::kBUILD);
  }
#else
  void setPluginNamespace(const char*) noexcept override {}
  AttentionPlugin* createPlugin(const char*, const nvinfer1::PluginFieldCollection* fields) noexcept override {
    return create(fields, true);
  }
  AttentionPlugin* deserializePlugin(const char*, const void* data, std::size_t bytes) noexcept override {
    std::int32_t values[2] = {};
    if (data == nullptr || bytes != sizeof values) {
      logger().note("SliceAttention: expected 8 bytes of a serialized plugin, got " + std::to_string(bytes));
      return nullptr;
    }
    std::memcpy(values, data, sizeof values);
    const auto fields = attention_fields(&values[0], &values[1]);
    const nvinfer1::PluginFieldCollection collection{2, fields.data()};
    return create(&collection, false);
  }
#endif

 private:
  static AttentionPlugin* create(const nvinfer1::PluginFieldCollection* fields, bool building) noexcept {
    return guarded([&] { return new AttentionPlugin(SliceAttention(fields, building)); },
                   static_cast<AttentionPlugin*>(nullptr));
  }

  std::array<nvinfer1::PluginField, 2> fields_ = attention_fields();
  nvinfer1::PluginFieldCollection collection_{2, fields_.data()};
};

/// Makes the plugin known to what `owner`, a builder or a runtime, makes. Throws Error(backend).
void register_attention_plugin(nvinfer1::IBuilder& owner);
void register_attention_plugin(nvinfer1::IRuntime& owner);

}  // namespace cardiacseg::tensorrt
