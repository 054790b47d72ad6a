#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "backends/tensorrt/provider.h"
#include "backends/tensorrt/provider/version.h"
#include "cardiacseg/error.h"

namespace cardiacseg::tensorrt {

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

inline ElementType element_type(nvinfer1::DataType type) {
  if (type == nvinfer1::DataType::kFLOAT) return ElementType::float32;
  if (type == nvinfer1::DataType::kHALF) return ElementType::float16;
  if (type == nvinfer1::DataType::kINT32) return ElementType::int32;
#if CARDIACSEG_TENSORRT_API >= 1000
  if (type == nvinfer1::DataType::kINT64) return ElementType::int64;
#endif
  return ElementType::other;
}

}  // namespace cardiacseg::tensorrt
