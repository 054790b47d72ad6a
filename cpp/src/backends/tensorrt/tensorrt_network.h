#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backends/backend.h"
#include "backends/tensorrt/loaded_engine.h"

namespace cardiacseg::tensorrt {

/// An engine as a network. Networks of one engine share its weights.
class TensorRtNetwork : public DeviceNetwork {
 public:
  /// `name` is for messages.
  TensorRtNetwork(std::string name, std::shared_ptr<LoadedEngine> engine);

  const std::vector<std::string>& outputs() const override { return engine_->info.facts.outputs; }

  /// What the engine does not write becomes NaN.
  void run(const TensorView& input, std::span<const MutableTensorView> outputs, const KeepGoing&) const override;

  std::int64_t max_frames() const override { return engine_->range.largest.front(); }
  Precision precision() const override;
  bool verified() const override { return engine_->verified; }
  void mark_verified() const override;
  std::unique_ptr<DeviceExecution> prepare(const std::vector<std::int64_t>& shape) const override;

 private:
  void require_fit(const std::vector<std::int64_t>& shape) const;

  std::string name_;
  std::shared_ptr<LoadedEngine> engine_;
};

}  // namespace cardiacseg::tensorrt
