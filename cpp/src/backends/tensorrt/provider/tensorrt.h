#pragma once

#include <NvInfer.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "cardiacseg/error.h"

/// Which TensorRT these headers are of. TensorRT and TensorRT-RTX name other classes alike, so a library is compiled
/// with the headers of one of them and never linked to another one.

#ifdef TRT_MAJOR_RTX
#if NV_TENSORRT_MAJOR != 1 || NV_TENSORRT_MINOR < 6
#error "expected the headers of TensorRT-RTX 1.6 or a later 1.x"
#endif
/// Major and minor version, 806 for 8.6; of TensorRT-RTX that of the TensorRT that its interface was taken from.
#define CARDIACSEG_TENSORRT_API 1100
#else
#define CARDIACSEG_TENSORRT_API (NV_TENSORRT_MAJOR * 100 + NV_TENSORRT_MINOR)
#if CARDIACSEG_TENSORRT_API < 805 || CARDIACSEG_TENSORRT_API >= 1200
#error "expected the headers of TensorRT 8.5 to 11"
#endif
#endif

namespace cardiacseg::tensorrt {

#ifdef TRT_MAJOR_RTX
inline constexpr bool kRtx = true;
#else
inline constexpr bool kRtx = false;
#endif
inline constexpr int kMajor = NV_TENSORRT_MAJOR;
inline constexpr int kMinor = NV_TENSORRT_MINOR;
inline constexpr int kPatch = NV_TENSORRT_PATCH;
inline constexpr int kApi = CARDIACSEG_TENSORRT_API;

inline constexpr const char* kProduct = kRtx ? "TensorRT-RTX" : "TensorRT";

/// Whether each tensor has the type that the graph says; else types are the builder's choice within limits.
inline constexpr bool kStronglyTyped = kApi >= 1000;

/// Of ONNX. Parsers of 10 and later take newer ones too, which no network here needs.
inline constexpr int kLargestOpset = kApi >= 1000 ? 20 : 17;

inline std::vector<std::int64_t> shape_of(const nvinfer1::Dims& dims) {
  const int rank = dims.nbDims > 0 ? dims.nbDims : 0;
  return {dims.d, dims.d + rank};
}

/// `name` is for the message. Throws Error(backend) for more dimensions, or larger ones, than TensorRT counts.
inline nvinfer1::Dims dims_of(const std::string& name, const std::vector<std::int64_t>& shape) {
  using Extent = std::decay_t<decltype(nvinfer1::Dims{}.d[0])>;
  nvinfer1::Dims dims{};
  bool fits = shape.size() <= static_cast<std::size_t>(nvinfer1::Dims::MAX_DIMS);
  for (std::size_t axis = 0; fits && axis < shape.size(); ++axis) {
    dims.d[axis] = static_cast<Extent>(shape[axis]);
    fits = shape[axis] >= 0 && dims.d[axis] == shape[axis];
  }
  if (!fits) throw Error(ErrorCode::backend, "the shape of " + name + " is not one that TensorRT can hold");
  dims.nbDims = static_cast<std::int32_t>(shape.size());
  return dims;
}

}  // namespace cardiacseg::tensorrt
