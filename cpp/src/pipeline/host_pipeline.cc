#include "pipeline/host_pipeline.h"

#include <algorithm>
#include <utility>

#include "cardiacseg/error.h"
#include "pipeline/check_parity.h"
#include "pipeline/input_checks.h"
#include "pipeline/load_stages.h"
#include "pipeline/run_frames.h"

namespace cardiacseg {
namespace {

void require_host(const CineView& cine, const RunOptions& options) {
  if (cine.memory == Memory::device) {
    throw Error(ErrorCode::invalid_input, "the image lies in device memory, but this segmenter runs on the CPU");
  }
  if (options.device_labels) {
    throw Error(ErrorCode::invalid_input, "labels in device memory were asked for, but this segmenter runs on the CPU");
  }
}

}  // namespace

HostPipeline::HostPipeline(const Bundle& bundle, std::unique_ptr<const Backend> backend, GateSources gate, int threads)
    : backend_(std::move(backend)),
      gate_(std::move(gate)),
      stages_(
          load_stages(bundle, [this](const auto& stage, auto onnx) { return backend_->load(stage, onnx); }, threads)) {}

Segmentation HostPipeline::run(const CineView& cine, const RunOptions& options) const {
  require_host(cine, options);
  check_temporal(options);
  StageClock clock;
  clock.time("check", [&] { check_cine(cine); });
  const std::int64_t size = std::min(cine.shape.frames, frames_per_call(cine.shape.slices));
  Segmentation result = empty_segmentation(cine.shape, options);
  FrameGroup group(stages_, cine, size, options.keep_going);
  run_frames(
      size, stages_.manifest, stages_.classify(), options, result,
      [&](std::int64_t first, std::int64_t count, Gating gating) { group.run(first, count, gating, result, clock); });
  result.report.stages = clock.stages();
  return result;
}

Parity HostPipeline::verify(const CineView& cine) const {
  require_host(cine, {});
  return check_host_parity(gate_.read_bundle(), gate_.make_host_backend, cine, stages_.threads);
}

}  // namespace cardiacseg
