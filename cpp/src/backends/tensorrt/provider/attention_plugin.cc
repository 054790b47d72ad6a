#include "backends/tensorrt/provider/attention_plugin.h"

#include <cuda_runtime.h>

#include <algorithm>

#include "backends/tensorrt/provider/library.h"
#include "cuda/launch.h"
#include "ops/scalar.h"
#include "ops/slice_attention_cuda.h"

namespace cardiacseg::tensorrt {
namespace {

using nvinfer1::DataType;

std::string text_of(const nvinfer1::Dims& dims) {
  std::string text = "[";
  for (const std::int64_t extent : shape_of(dims)) text += (text.size() > 1 ? ", " : "") + std::to_string(extent);
  return text + "]";
}

/// Throws std::invalid_argument if an attribute is missing.
std::int32_t attribute(const nvinfer1::PluginFieldCollection* fields, const std::string& name) {
  if (fields == nullptr) throw std::invalid_argument("SliceAttention: expected attributes, got none");
  const auto* end = fields->fields + fields->nbFields;
  const auto* field = std::find_if(fields->fields, end, [&](const auto& one) { return one.name == name; });
  if (field != end && field->data != nullptr && field->length == 1 &&
      field->type == nvinfer1::PluginFieldType::kINT32) {
    return *static_cast<const std::int32_t*>(field->data);
  }
  throw std::invalid_argument("SliceAttention: expected the attribute " + name + " as one integer, got none");
}

void require_types(const PluginTensor& qkv, const PluginTensor& cu_slices) {
  if (!SliceAttention::supports(0, qkv, qkv)) {
    throw std::invalid_argument(
        "qkv of SliceAttention: expected float16 or float32 in C order, got another type or order");
  }
  if (!SliceAttention::supports(1, cu_slices, qkv)) {
    throw std::invalid_argument("cu_slices of SliceAttention: expected int32 in C order, got another type or order");
  }
}

/// Stacks of about the same number of slices.
std::vector<std::int32_t> even_stacks(const ops::AttentionShape& shape) {
  std::vector<std::int32_t> first;
  for (std::int64_t stack = 0; stack <= shape.stacks; ++stack) {
    first.push_back(static_cast<std::int32_t>(shape.slices * stack / shape.stacks));
  }
  return first;
}

/// Plugins may outlive whoever asked for them, so their creator is never destroyed.
AttentionPluginCreator& creator() {
  static AttentionPluginCreator& instance = *new AttentionPluginCreator;
  return instance;
}

void add_to(nvinfer1::IPluginRegistry& registry) {
  const Attempt attempt("does not take the plugin " + std::string(kAttentionName));
  attempt.expect(registry.registerCreator(creator(), creator().getPluginNamespace()));
}

/// Before 8.6 there is one registry for all.
template <class Owner>
void add_to_registry_of([[maybe_unused]] Owner& owner) {
#if CARDIACSEG_TENSORRT_API >= 806
  add_to(owner.getPluginRegistry());
#else
  static const bool once = (add_to(*inference_library().plugin_registry()), true);
  static_cast<void>(once);
#endif
}

}  // namespace

SliceAttention::SliceAttention(std::int32_t heads, std::int32_t across_slices, bool building)
    : heads_(heads), across_slices_(across_slices), building_(building) {
  if (heads < 1 || across_slices < 0 || across_slices > 1) {
    throw std::invalid_argument("SliceAttention: expected one head or more and 0 or 1 for across_slices, got " +
                                std::to_string(heads) + " and " + std::to_string(across_slices));
  }
}

SliceAttention::SliceAttention(const nvinfer1::PluginFieldCollection* fields, bool building)
    : SliceAttention(attribute(fields, "heads"), attribute(fields, "across_slices"), building) {}

bool SliceAttention::supports(std::int32_t position, const PluginTensor& tensor, const PluginTensor& qkv) {
  if (tensor.format != nvinfer1::TensorFormat::kLINEAR) return false;
  if (position == 1) return tensor.type == DataType::kINT32;
  if (position == 2) return tensor.type == qkv.type;
  return tensor.type == DataType::kHALF || tensor.type == DataType::kFLOAT;
}

nvinfer1::DimsExprs SliceAttention::output_shape(const nvinfer1::DimsExprs& qkv, nvinfer1::IExprBuilder& builder) {
  if (qkv.nbDims != 3) {
    throw std::invalid_argument("qkv of SliceAttention: expected 3 dimensions, got " + std::to_string(qkv.nbDims));
  }
  nvinfer1::DimsExprs output = qkv;
  output.d[2] = builder.operation(nvinfer1::DimensionOperation::kFLOOR_DIV, *qkv.d[2], *builder.constant(3));
  return output;
}

ops::AttentionShape SliceAttention::shape_of(const PluginTensor& qkv, const PluginTensor& cu_slices) const {
  require_types(qkv, cu_slices);
  if (qkv.dims.nbDims != 3 || cu_slices.dims.nbDims != 1 || cu_slices.dims.d[0] < 2) {
    throw std::invalid_argument(
        "SliceAttention: expected qkv [slices, positions, 3 * channels] and cu_slices [stacks + 1], got " +
        text_of(qkv.dims) + " and " + text_of(cu_slices.dims));
  }
  const std::int64_t width = qkv.dims.d[2];
  const std::int64_t channels = width / 3;
  const std::int64_t size = channels / heads_;
  if (channels * 3 != width || size * heads_ != channels || (size != 8 && size != 16 && size != 32 && size != 64)) {
    throw std::invalid_argument("qkv of SliceAttention: expected 3 * " + std::to_string(heads_) +
                                " heads of 8, 16, 32 or 64 channels, got " + std::to_string(width) + " channels");
  }
  const ops::AttentionShape shape{cu_slices.dims.d[0] - 1, qkv.dims.d[0], qkv.dims.d[1], channels, heads_};
  ops::require_attention_shape(shape);
  return shape;
}

std::size_t SliceAttention::scratch_bytes(std::int64_t stacks) const {
  return building_ && across_slices_ == 1 ? static_cast<std::size_t>(stacks + 1) * sizeof(std::int32_t) : 0;
}

void SliceAttention::launch(const PluginTensor* tensors, const void* const* in, void* output, void* scratch,
                            cudaStream_t stream) {
  const ops::AttentionShape shape = shape_of(tensors[0], tensors[1]);
  const auto type = tensors[0].type == DataType::kHALF ? ops::ScalarType::float16 : ops::ScalarType::float32;
  if (across_slices_ == 0) return ops::intra_slice_attention_cuda(type, in[0], shape, output, stream);
  const auto* first = static_cast<const std::int32_t*>(in[1]);
  if (building_) {
    even_ = even_stacks(shape);
    cuda::check(cudaMemcpyAsync(scratch, even_.data(), scratch_bytes(shape.stacks), cudaMemcpyHostToDevice, stream),
                "SliceAttention: cu_slices");
    first = static_cast<const std::int32_t*>(scratch);
  }
  ops::inter_slice_attention_cuda(type, in[0], first, shape, output, stream);
}

void register_attention_plugin(nvinfer1::IBuilder& owner) { add_to_registry_of(owner); }
void register_attention_plugin(nvinfer1::IRuntime& owner) { add_to_registry_of(owner); }

}  // namespace cardiacseg::tensorrt
