#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "backends/tensorrt/provider/version.h"

namespace cardiacseg::tensorrt {

/// What a build measured of single layers, for the next build. TensorRT-RTX, which measures nothing, has none.
class TimingCache {
 public:
  /// Lets `config` use the cache in `bytes`, or an empty one where that is of another version or GPU, while this
  /// lives.
  TimingCache(nvinfer1::IBuilderConfig& config, std::span<const std::byte> bytes);

  std::vector<std::byte> bytes() const;

#ifndef TRT_MAJOR_RTX
 private:
  std::unique_ptr<nvinfer1::ITimingCache> cache_;
#endif
};

std::vector<std::byte> bytes_of(const nvinfer1::IHostMemory& memory);

}  // namespace cardiacseg::tensorrt
