#include <algorithm>
#include <atomic>
#include <limits>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "cardiacseg/error.h"
#include "cuda/device.h"
#include "cuda/stream.h"
#include "pipeline/cine_pixels.h"
#include "pipeline/cine_run.h"
#include "pipeline/input_checks.h"
#include "pipeline/parity.h"
#include "pipeline/pipeline.h"
#include "pipeline/stream_pool.h"

namespace cardiacseg {
namespace {

/// Frames of a first run that go through the parity gate: more than one, so that they could disturb each other.
constexpr std::int64_t kVerifiedFrames = 2;

/// Plans may use the GPU's memory divided by this.
constexpr std::size_t kBudgetDivisor = 4;

/// Freed bytes that the memory pool keeps for later allocations.
constexpr std::uint64_t kKeptBytes = std::uint64_t{64} << 20;

/// Rethrows the current exception; CUDA errors, and sizes that a kernel refuses, become Error(backend).
[[noreturn]] void rethrow_as_error() {
  try {
    throw;
  } catch (const cuda::CudaError& error) {
    const bool memory = error.status() == cudaErrorMemoryAllocation;
    throw Error(ErrorCode::backend,
                std::string(memory ? "the GPU has too little free memory: " : "the GPU failed: ") + error.what());
  } catch (const std::invalid_argument& error) {
    throw Error(ErrorCode::backend, std::string("the GPU cannot run this image: ") + error.what());
  }
}

/// Throws Error(invalid_input) for an image in device memory that GPU `device` cannot read as the pipeline does.
void require_readable(const CineView& cine, int device) {
  if (cine.memory == Memory::host) return;
  const int found = cuda::device_of(cine.data);
  if (found >= 0 && found != device) {
    throw Error(ErrorCode::invalid_input,
                "the image lies on GPU " + std::to_string(found) + ", expected GPU " + std::to_string(device));
  }
  if (is_contiguous(cine)) return;
  throw Error(ErrorCode::invalid_input, "an image in device memory must be contiguous, in C order, got strides of " +
                                            std::to_string(cine.strides[0]) + ", " + std::to_string(cine.strides[1]) +
                                            ", " + std::to_string(cine.strides[2]) + " and " +
                                            std::to_string(cine.strides[3]) + " bytes");
}

/// A copy in host memory of the first `frames` frames of a cine, in device memory once `stream` is done with it.
OwnedCine copy_to_host(const CineView& cine, std::int64_t frames, cudaStream_t stream) {
  CineShape shape = cine.shape;
  shape.frames = frames;
  OwnedCine copy(shape, cine.spacing, cine.type);
  if (cine.memory == Memory::host) {
    copy_contiguous(cine, 0, frames, 1, copy.pixels.data());
    return copy;
  }
  cuda::check(cudaMemcpyAsync(copy.pixels.data(), cine.data, copy.pixels.size(), cudaMemcpyDeviceToHost, stream),
              "copy from the GPU");
  cuda::check(cudaStreamSynchronize(stream), "copy from the GPU");
  return copy;
}

class DevicePipeline : public Pipeline {
 public:
  DevicePipeline(const Bundle& bundle, std::unique_ptr<const DeviceBackend> backend, MakeHostBackend make_host_backend,
                 int threads)
      : bundle_(bundle),
        backend_(std::move(backend)),
        make_host_backend_(std::move(make_host_backend)),
        threads_(threads),
        device_(cuda::current_device().index),
        memory_(std::make_shared<cuda::MemoryPool>(device_, kKeptBytes)),
        networks_(
            load_networks(bundle, [this](const std::string& stage, auto onnx) { return load_engine(stage, onnx); })),
        pool_(networks_, memory_, threads, {.bytes = cuda::total_memory() / kBudgetDivisor}),
        verified_(all_verified()) {}

  Segmentation run(const CineView& cine, const RunOptions& options) const override try {
    const cuda::DeviceScope device(device_);
    check_temporal(options);
    check_geometry(cine);
    require_readable(cine, device_);
    verify_once(cine, options);
    return run_verified(cine, options);
  } catch (...) {
    rethrow_as_error();
  }

  Parity verify(const CineView& cine, void* stream) const override try {
    const cuda::DeviceScope device(device_);
    check_geometry(cine);
    require_readable(cine, device_);
    const std::lock_guard lock(verifying_);
    return verify_frames(cine, cine.shape.frames, static_cast<cudaStream_t>(stream));
  } catch (...) {
    rethrow_as_error();
  }

  /// Runs each kind of batch twice: enqueued, then as the recorded graph.
  void warm_up(const CineKind& kind, const KeepGoing& keep_going) const override try {
    const cuda::DeviceScope device(device_);
    require_geometry(kind.shape, kind.spacing, kind.type);
    for (const BatchKind& batch : kinds_of(kind.shape, kind.spacing, kind.type, false, max_frames_)) {
      const OwnedCine picture = synthetic_cine(batch.shape, kind.spacing, kind.type);
      for (int run = 0; run < 2; ++run) run_verified(picture.cine, {.temporal = "off", .keep_going = keep_going});
    }
  } catch (...) {
    rethrow_as_error();
  }

  void trim() const override { pool_.trim(); }

 private:
  std::unique_ptr<const Network> load_engine(const std::string& stage, std::span<const std::byte> onnx) {
    std::unique_ptr<const DeviceNetwork> network = backend_->load_on_device(stage, onnx);
    engines_.push_back({stage, network.get()});
    max_frames_ = std::max<std::int64_t>(1, std::min(max_frames_, network->max_frames()));
    return network;
  }

  bool all_verified() const {
    return std::all_of(engines_.begin(), engines_.end(), [](const auto& engine) { return engine.second->verified(); });
  }

  void verify_once(const CineView& cine, const RunOptions& options) const {
    if (verified_) return;
    const std::lock_guard lock(verifying_);
    if (verified_) return;
    const Parity parity =
        verify_frames(cine, std::min(kVerifiedFrames, cine.shape.frames), static_cast<cudaStream_t>(options.stream));
    if (parity.passed) return;
    throw Error(ErrorCode::backend, "the engines failed the parity gate on this GPU: " + parity.summary +
                                        "; build them anew with `cardiacseg build-engine`");
  }

  Parity verify_frames(const CineView& cine, std::int64_t frames, cudaStream_t stream) const {
    const OwnedCine copy = copy_to_host(cine, frames, stream);
    std::vector<TestedNetwork> tested;
    for (const auto& [stage, engine] : engines_) tested.push_back({stage, *engine, engine->precision()});
    NetworksParity found =
        check_parity(bundle_, *make_host_backend_(Precision::float32), tested, max_frames_, copy.cine, threads_);
    if (std::ranges::all_of(found.stages, &StageParity::passed)) {
      found.stages.push_back(compare_runs(copy.cine, found.reference));
    }
    const Parity parity = join(std::move(found.stages), "the networks on the GPU", "those on the CPU");
    if (!parity.passed) return parity;
    for (const auto& [stage, engine] : engines_) engine->mark_verified();
    verified_ = true;
    return parity;
  }

  /// The whole pipeline's labels, of a run that is enqueued and of one that is replayed.
  StageParity compare_runs(const CineView& cine, const Segmentation& reference) const {
    pool_.trim();
    std::vector<std::vector<std::uint8_t>> labels;
    for (int run = 0; run < 2; ++run) labels.push_back(run_verified(cine, {.temporal = "off"}).labels);
    const bool exact = std::ranges::all_of(
        engines_, [](const auto& engine) { return engine.second->precision() == Precision::float32; });
    return compare_labels(reference.labels, labels, exact ? Precision::float32 : Precision::float16);
  }

  Segmentation run_verified(const CineView& cine, const RunOptions& options) const {
    cuda::Event ready;
    const bool on_device = cine.memory == Memory::device;
    if (on_device) ready.record(static_cast<cudaStream_t>(options.stream));
    AcquiredPlans plans(pool_, on_device ? &ready : nullptr);
    StageClock clock;
    const Stopwatch checking;
    check_pixels(cine, options, plans);
    clock.add("check", checking.milliseconds());
    Segmentation result = empty_segmentation(cine.shape, options);
    result.report.graph = "yes";
    result.device_index = device_;
    if (options.device_labels) result.device_labels = shared_labels(cine.shape);
    CineRun(networks_, plans, cine, options, max_frames_, result).run(clock);
    return result;
  }

  /// If the image is in device memory, the GPU checks the pixels; the error text comes from the CPU's check of a copy.
  void check_pixels(const CineView& cine, const RunOptions& options, AcquiredPlans& plans) const {
    if (cine.memory == Memory::host) return check_cine(cine);
    for (const FrameBatch& batch : batches_of(cine.shape.frames, max_frames_)) {
      CineShape shape = cine.shape;
      shape.frames = batch.count;
      if (plans.plan({shape, cine.spacing, cine.type, options.probabilities}).has_ranges(cine, batch.first)) continue;
      check_cine(copy_to_host(cine, cine.shape.frames, static_cast<cudaStream_t>(options.stream)).cine);
      throw Error(ErrorCode::backend, "the GPU found no range of intensities in an image that has one");
    }
  }

  /// Memory that is freed with its last owner, after the work that is then on the default stream.
  std::shared_ptr<std::uint8_t> shared_labels(const CineShape& shape) const {
    void* labels = memory_->allocate(static_cast<std::size_t>(shape.voxels()), label_stream_.get());
    const auto release = [memory = memory_, device = device_](std::uint8_t* block) {
      try {
        const cuda::DeviceScope scope(device);
        memory->release(block, nullptr);
      } catch (const cuda::CudaError&) {
        // The process ends, and CUDA is gone already.
      }
    };
    std::shared_ptr<std::uint8_t> shared(static_cast<std::uint8_t*>(labels), release);
    label_stream_.synchronize();
    return shared;
  }

  Bundle bundle_;  ///< for the reference, which is loaded when it is needed
  std::unique_ptr<const DeviceBackend> backend_;
  MakeHostBackend make_host_backend_;
  int threads_;
  int device_;
  std::shared_ptr<const cuda::MemoryPool> memory_;
  cuda::Stream label_stream_;
  std::int64_t max_frames_ = std::numeric_limits<std::int64_t>::max();  ///< that all networks take in one call
  std::vector<std::pair<std::string, const DeviceNetwork*>> engines_;
  Networks networks_;
  mutable StreamPool pool_;
  mutable std::mutex verifying_;
  mutable std::atomic<bool> verified_;
};

}  // namespace

std::unique_ptr<Pipeline> make_device_pipeline(const Bundle& bundle, std::unique_ptr<const DeviceBackend> backend,
                                               MakeHostBackend make_host_backend, int threads) try {
  return std::make_unique<DevicePipeline>(bundle, std::move(backend), std::move(make_host_backend), threads);
} catch (...) {
  rethrow_as_error();
}

}  // namespace cardiacseg
