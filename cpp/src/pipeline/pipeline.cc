#include "pipeline/pipeline.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "cardiacseg/error.h"
#include "pipeline/cine_pixels.h"
#include "pipeline/cine_run.h"
#include "pipeline/input_checks.h"
#include "pipeline/parity.h"

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

class HostPipeline : public Pipeline {
 public:
  HostPipeline(const Bundle& bundle, std::unique_ptr<const Backend> backend, GateSources gate, int threads)
      : backend_(std::move(backend)),
        gate_(std::move(gate)),
        threads_(threads),
        networks_(load_networks(bundle,
                                [this](const std::string& stage, auto onnx) { return backend_->load(stage, onnx); })) {}

  Segmentation run(const CineView& cine, const RunOptions& options) const override {
    require_host(cine, options);
    check_temporal(options);
    StageClock clock;
    const Stopwatch checking;
    check_cine(cine);
    clock.add("check", checking.milliseconds());
    Segmentation result = empty_segmentation(cine.shape, options);
    run_on_host(networks_, cine, options, frames_per_call(cine.shape), threads_, result, clock);
    return result;
  }

  Parity verify(const CineView& cine, void*) const override {
    require_host(cine, {});
    return check_host_parity(gate_.read_bundle(), gate_.make_host_backend, cine, threads_);
  }

  void warm_up(const CineKind& kind, const KeepGoing& keep_going) const override {
    require_geometry(kind.shape, kind.spacing, kind.type);
    for (const BatchKind& batch : kinds_of(kind.shape, kind.spacing, kind.type, false, frames_per_call(kind.shape))) {
      run(synthetic_cine(batch.shape, kind.spacing, kind.type).cine, {.temporal = "off", .keep_going = keep_going});
    }
  }

 private:
  std::int64_t frames_per_call(const CineShape& shape) const { return backend_->frames_per_call(shape.slices); }

  std::unique_ptr<const Backend> backend_;
  GateSources gate_;
  int threads_;
  Networks networks_;
};

}  // namespace

std::unique_ptr<Pipeline> make_pipeline(const Bundle& bundle, std::unique_ptr<const Backend> backend, GateSources gate,
                                        int threads) {
  if (backend->memory() == MemorySpace::host) {
    return std::make_unique<HostPipeline>(bundle, std::move(backend), std::move(gate), threads);
  }
  std::unique_ptr<const DeviceBackend> device(dynamic_cast<const DeviceBackend*>(backend.release()));
  return make_device_pipeline(bundle, std::move(device), std::move(gate.make_host_backend), threads);
}

}  // namespace cardiacseg
