#pragma once

#include <cstdint>
#include <string>

#include "backends/tensorrt/provider/tensorrt.h"

namespace cardiacseg::tensorrt {

/// The few C functions behind which TensorRT's interfaces lie. They are looked up when first needed, so that this
/// library loads without TensorRT.
struct InferenceLibrary {
  void* handle;  ///< the loader's
  int version;   ///< as getInferLibVersion gives it
  void* (*create_builder)(void* logger, std::int32_t version);
  void* (*create_runtime)(void* logger, std::int32_t version);
  nvinfer1::IPluginRegistry* (*plugin_registry)();
};

using CreateParser = void* (*)(void* network, void* logger, int version);

/// Opens the library, looking in the folders that $CARDIACSEG_TENSORRT_LIBRARIES lists, in `lib` of $TensorRT_ROOT (of
/// $TensorRT_RTX_ROOT for TensorRT-RTX), where the loader looks, and in the pip packages that lie beside this
/// library's. Throws Error(backend) if it is missing or does not fit the headers; a later call then looks again.
const InferenceLibrary& inference_library();

/// The same for the ONNX parser, which only building needs.
CreateParser parser_library();

/// "8.5.3" for 8503 and for 80503: the former is how TensorRT wrote it before 10.
std::string version_text(int version);

/// Throws Error(backend) unless a library of this version has all that the headers promise: the same major version,
/// and no older minor one.
void require_version(int version);

}  // namespace cardiacseg::tensorrt
