#pragma once

#include <cstdint>
#include <future>
#include <memory>
#include <span>
#include <vector>

#include "backends/backend.h"

namespace cardiacseg {

/// Seg or Ref: a network that gives logits and, where it has the classifier, presence.
class SegmentationStage {
 public:
  /// The outputs of `network` are "logits" alone or "logits" and "presence".
  explicit SegmentationStage(std::unique_ptr<Network> network);

  bool classifies() const { return classifies_; }

  /// As Network::prepare_ahead.
  std::future<void> prepare_ahead(const std::vector<std::int64_t>& shape) const {
    return network_->prepare_ahead(shape);
  }

  /// From `input` `[frames, slices, channels, rows, columns]` fills `logits` `[frames, slices, 4, rows, columns]` and,
  /// if it classifies, `presence` `[frames, slices, 3]`. Throws as the network does.
  void run(const TensorView& input, std::span<float> logits, std::span<float> presence,
           const KeepGoing& keep_going) const;

 private:
  std::unique_ptr<Network> network_;
  bool classifies_;
};

}  // namespace cardiacseg
