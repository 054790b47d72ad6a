#include "backends/tensorrt/provider/timing_cache.h"

namespace cardiacseg::tensorrt {

std::vector<std::byte> bytes_of(const nvinfer1::IHostMemory& memory) {
  const auto* first = static_cast<const std::byte*>(memory.data());
  return {first, first + memory.size()};
}

#ifdef TRT_MAJOR_RTX
TimingCache::TimingCache(nvinfer1::IBuilderConfig&, std::span<const std::byte>) {}

std::vector<std::byte> TimingCache::bytes() const { return {}; }
#else
TimingCache::TimingCache(nvinfer1::IBuilderConfig& config, std::span<const std::byte> bytes) {
  for (const std::size_t size : {bytes.size(), std::size_t{0}}) {
    cache_.reset(config.createTimingCache(bytes.data(), size));
    if (cache_ != nullptr && config.setTimingCache(*cache_, false)) return;
  }
  cache_.reset();
}

std::vector<std::byte> TimingCache::bytes() const {
  if (cache_ == nullptr) return {};
  const std::unique_ptr<nvinfer1::IHostMemory> memory(cache_->serialize());
  return memory == nullptr ? std::vector<std::byte>() : bytes_of(*memory);
}
#endif

}  // namespace cardiacseg::tensorrt
