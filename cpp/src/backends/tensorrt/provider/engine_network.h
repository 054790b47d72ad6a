#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backends/tensorrt/provider.h"
#include "cuda/buffer.h"

namespace cardiacseg::tensorrt {

/// Name of the input of engines with the plugin: where the slices of each stack start.
inline constexpr const char* kSliceStarts = "cu_slices";

/// Names of an engine's tensors, as the library has them.
struct TensorNames {
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
};

/// An engine as a network, without a type of TensorRT: all but what `make_execution` gives.
class EngineNetwork : public DeviceNetwork {
 public:
  /// Throws Error(backend) if the engine's tensors are not those of the artifact's header.
  EngineNetwork(const EngineArtifact& artifact, const TensorNames& found);

  const std::vector<std::string>& outputs() const override { return info_.facts.outputs; }
  void run(const TensorView& input, std::span<const MutableTensorView> outputs, const KeepGoing&) const override;
  std::int64_t max_frames() const override { return input().largest.front(); }
  Precision precision() const override;
  bool verified() const override { return verified_; }
  void mark_verified() const override { verified_ = true; }
  std::unique_ptr<DeviceExecution> prepare(const std::vector<std::int64_t>& shape) const override;

 protected:
  /// As `prepare`, for a shape that is in the header's range. May throw cuda::CudaError too.
  virtual std::unique_ptr<DeviceExecution> make_execution(const std::vector<std::int64_t>& shape) const = 0;

  /// The network's own input.
  const EngineInput& input() const;
  bool takes_slice_starts() const { return info_.facts.inputs.size() > 1; }

 private:
  void require_fit(const std::vector<std::int64_t>& shape) const;

  std::filesystem::path path_;
  EngineInfo info_;
  mutable std::atomic<bool> verified_ = false;
};

/// 0, S, 2S, ... for `frames` stacks of S slices: int32 `[frames + 1]` in device memory. Throws cuda::CudaError.
cuda::DeviceBuffer upload_slice_starts(std::int64_t frames, std::int64_t slices);

/// Throws Error(backend) unless there are addresses of `expected` outputs.
void require_addresses(std::size_t expected, std::span<float* const> outputs);

}  // namespace cardiacseg::tensorrt
