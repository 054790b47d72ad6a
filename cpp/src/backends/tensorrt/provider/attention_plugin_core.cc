#include "backends/tensorrt/provider/attention_plugin_core.h"

#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

#include "cuda/launch.h"
#include "ops/scalar.h"
#include "ops/slice_attention_cuda.h"

namespace cardiacseg::tensorrt {
namespace {

std::string text_of(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (const std::int64_t extent : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(extent);
  return text + "]";
}

void require_types(const PluginTensor& qkv, const PluginTensor& cu_slices) {
  using Core = AttentionPluginCore;
  if (!Core::supports(PluginTensors::qkv, qkv, qkv)) {
    throw std::invalid_argument(
        "qkv of SliceAttention: wanted float16 or float32 in C order, got another type or order");
  }
  if (!Core::supports(PluginTensors::cu_slices, cu_slices, qkv)) {
    throw std::invalid_argument("cu_slices of SliceAttention: wanted int32 in C order, got another type or order");
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

}  // namespace

AttentionPluginCore::AttentionPluginCore(std::int32_t heads, std::int32_t across_slices, bool building)
    : heads_(heads), across_slices_(across_slices), building_(building) {
  if (heads < 1 || across_slices < 0 || across_slices > 1) {
    throw std::invalid_argument("SliceAttention: wanted one head or more and 0 or 1 for across_slices, got " +
                                std::to_string(heads) + " and " + std::to_string(across_slices));
  }
}

bool AttentionPluginCore::supports(PluginTensors which, const PluginTensor& tensor, const PluginTensor& qkv) {
  if (!tensor.linear) return false;
  if (which == PluginTensors::cu_slices) return tensor.type == ElementType::int32;
  if (which == PluginTensors::output) return tensor.type == qkv.type;
  return tensor.type == ElementType::float16 || tensor.type == ElementType::float32;
}

ops::AttentionShape AttentionPluginCore::shape_of(const PluginTensor& qkv, const PluginTensor& cu_slices) const {
  require_types(qkv, cu_slices);
  if (qkv.shape.size() != 3 || cu_slices.shape.size() != 1 || cu_slices.shape[0] < 2) {
    throw std::invalid_argument(
        "SliceAttention: wanted qkv [slices, positions, 3 * channels] and cu_slices [stacks + " +
        std::string("1], got ") + text_of(qkv.shape) + " and " + text_of(cu_slices.shape));
  }
  const std::int64_t channels = qkv.shape[2] / 3;
  const std::int64_t size = channels / heads_;
  if (channels * 3 != qkv.shape[2] || size * heads_ != channels ||
      (size != 8 && size != 16 && size != 32 && size != 64)) {
    throw std::invalid_argument("qkv of SliceAttention: wanted 3 * " + std::to_string(heads_) +
                                " heads of 8, 16, 32 or 64 channels, got " + std::to_string(qkv.shape[2]) +
                                " channels");
  }
  const ops::AttentionShape shape{cu_slices.shape[0] - 1, qkv.shape[0], qkv.shape[1], channels, heads_};
  ops::require_attention_shape(shape);
  return shape;
}

std::size_t AttentionPluginCore::scratch_bytes(std::int64_t stacks) const {
  return building_ && across_slices_ == 1 ? static_cast<std::size_t>(stacks + 1) * sizeof(std::int32_t) : 0;
}

void AttentionPluginCore::launch(const PluginTensor& qkv, const PluginTensor& cu_slices, const Memory& memory,
                                 ops::DeviceStream stream) {
  const ops::AttentionShape shape = shape_of(qkv, cu_slices);
  const auto type = qkv.type == ElementType::float16 ? ops::ScalarType::float16 : ops::ScalarType::float32;
  if (across_slices_ == 0) return ops::intra_slice_attention_cuda(type, memory.qkv, shape, memory.output, stream);
  const auto* first = static_cast<const std::int32_t*>(memory.cu_slices);
  if (building_) {
    even_ = even_stacks(shape);
    cuda::check(
        cudaMemcpyAsync(memory.scratch, even_.data(), scratch_bytes(shape.stacks), cudaMemcpyHostToDevice, stream),
        "SliceAttention: cu_slices");
    first = static_cast<const std::int32_t*>(memory.scratch);
  }
  ops::inter_slice_attention_cuda(type, memory.qkv, first, shape, memory.output, stream);
}

}  // namespace cardiacseg::tensorrt
