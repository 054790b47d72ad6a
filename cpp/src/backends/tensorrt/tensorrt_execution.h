#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "backends/backend.h"
#include "backends/tensorrt/loaded_engine.h"
#include "cuda/buffer.h"

namespace cardiacseg::tensorrt {

/// A context of an engine with its shapes set.
class TensorRtExecution : public DeviceExecution {
 public:
  /// `shape` `[frames, slices, ...]` must be one that the engine takes. Throws Error(backend), cuda::CudaError.
  TensorRtExecution(std::shared_ptr<const LoadedEngine> engine, const std::vector<std::int64_t>& shape);

  std::size_t scratch_bytes() const override { return scratch_bytes_; }
  void bind(const float* input, std::span<float* const> outputs, void* scratch) override;
  bool capturable(ops::DeviceStream stream) const override { return context_->capturable(stream); }
  void enqueue(ops::DeviceStream stream) override { context_->enqueue(stream); }

 private:
  std::shared_ptr<const LoadedEngine> engine_;
  cuda::DeviceBuffer slice_starts_;  ///< int32 `[frames + 1]`; empty where the engine has no such input
  std::unique_ptr<Context> context_;
  std::size_t scratch_bytes_ = 0;
};

}  // namespace cardiacseg::tensorrt
