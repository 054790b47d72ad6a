#pragma once

#include <memory>

#include "pipeline/frame_group.h"
#include "pipeline/pipeline.h"

namespace cardiacseg {

/// The order of things on the CPU: check everything, then group after group of frames.
class HostPipeline : public Pipeline {
 public:
  HostPipeline(const Bundle& bundle, std::unique_ptr<const Backend> backend, GateSources gate, int threads);

  Segmentation run(const CineView& cine, const RunOptions& options) const override;
  Parity verify(const CineView& cine) const override;
  std::int64_t frames_per_call(std::int64_t slices) const override { return backend_->frames_per_call(slices); }

 private:
  std::unique_ptr<const Backend> backend_;
  GateSources gate_;
  Stages stages_;
};

}  // namespace cardiacseg
