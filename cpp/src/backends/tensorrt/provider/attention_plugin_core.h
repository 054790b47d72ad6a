#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "backends/tensorrt/provider.h"
#include "ops/device.h"
#include "ops/slice_attention.h"

namespace cardiacseg::tensorrt {

/// A tensor as a plugin is told about it.
struct PluginTensor {
  ElementType type = ElementType::other;
  bool linear = false;  ///< whether it is in C order
  std::vector<std::int64_t> shape;
};

enum class PluginTensors { qkv, cu_slices, output };

/// What the slice attention plugin does, without TensorRT's types. Throws std::invalid_argument, and cuda::CudaError
/// where a launch fails.
class AttentionPluginCore {
 public:
  AttentionPluginCore(std::int32_t heads, std::int32_t across_slices, bool building);

  std::int32_t heads() const { return heads_; }
  std::int32_t across_slices() const { return across_slices_; }

  /// Whether type and order of `tensor` will do; `qkv` is what was chosen for it.
  static bool supports(PluginTensors which, const PluginTensor& tensor, const PluginTensor& qkv);

  /// Throws unless the inputs fit each other and the attributes.
  ops::AttentionShape shape_of(const PluginTensor& qkv, const PluginTensor& cu_slices) const;

  /// Device memory that `launch` works in.
  std::size_t scratch_bytes(std::int64_t stacks) const;

  struct Memory {
    const void* qkv;
    const void* cu_slices;
    void* output;
    void* scratch;
  };
  void launch(const PluginTensor& qkv, const PluginTensor& cu_slices, const Memory& memory, ops::DeviceStream stream);

 private:
  std::int32_t heads_;
  std::int32_t across_slices_;
  bool building_;                   ///< TensorRT times plugins on memory that nobody wrote: then cu_slices says nothing
  std::vector<std::int32_t> even_;  ///< what is used instead; the copy of it may still be under way
};

}  // namespace cardiacseg::tensorrt
