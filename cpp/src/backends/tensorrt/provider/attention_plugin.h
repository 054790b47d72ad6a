#pragma once

#include "backends/tensorrt/provider/version.h"

/// The plugin that gives TensorRT our slice attention: ONNX nodes with op_type `SliceAttention` become it.
///   inputs      qkv        [slices, positions, 3 * channels], float16 or float32; slices of all stacks, one after
///   another
///               cu_slices  [stacks + 1], int32: where each stack begins (ops/slice_attention.h)
///   output      [slices, positions, channels], of qkv's type
///   attributes  heads, across_slices (1: inter-slice, 0: intra-slice attention), plugin_version "1",
///               plugin_namespace ""
#if CARDIACSEG_TENSORRT_API >= 1000
#include "backends/tensorrt/provider/attention_plugin_v3.h"
#else
#include "backends/tensorrt/provider/attention_plugin_v2.h"
#endif

namespace cardiacseg::tensorrt {

/// Makes the plugin known to what `owner`, a builder or a runtime, makes. Throws Error(backend).
void register_attention_plugin(nvinfer1::IBuilder& owner);
void register_attention_plugin(nvinfer1::IRuntime& owner);

}  // namespace cardiacseg::tensorrt
