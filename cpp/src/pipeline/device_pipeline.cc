#include "pipeline/device_pipeline.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <mutex>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

#include "cardiacseg/error.h"
#include "cardiacseg/labels.h"
#include "cuda/device.h"
#include "pipeline/check_parity.h"
#include "pipeline/device_lane.h"
#include "pipeline/gather.h"
#include "pipeline/input_checks.h"
#include "pipeline/parity.h"
#include "pipeline/part.h"
#include "pipeline/postprocess.h"
#include "pipeline/run_frames.h"

namespace cardiacseg {
namespace {

/// Frames of a first run that go through the parity gate: more than one, so that they could disturb each other.
constexpr std::int64_t kVerifiedFrames = 2;

/// The result of `action`; what CUDA says becomes Error(backend).
template <class Action>
auto translate_errors(const Action& action) {
  try {
    return action();
  } catch (const cuda::CudaError& error) {
    const bool memory = error.status() == cudaErrorMemoryAllocation;
    throw Error(ErrorCode::backend,
                std::string(memory ? "the GPU has too little free memory: " : "the GPU failed: ") + error.what());
  } catch (const std::invalid_argument& error) {
    throw Error(ErrorCode::backend, std::string("the GPU cannot run this image: ") + error.what());
  }
}

void require_contiguous(const CineView& cine) {
  if (cine.memory == Memory::host || is_contiguous(cine)) return;
  throw Error(ErrorCode::invalid_input,
              "an image in device memory must be contiguous, in C order, but its strides of " +
                  std::to_string(cine.strides[0]) + ", " + std::to_string(cine.strides[1]) + ", " +
                  std::to_string(cine.strides[2]) + " and " + std::to_string(cine.strides[3]) + " bytes are not");
}

bool has_width(const ops::IntensityRange& range) { return range.low < range.high; }

template <class T>
void copy_into(std::span<const T> from, std::span<T> to) {
  std::copy(from.begin(), from.end(), to.begin());
}

/// 1 where voxels have a structure's label in a slice, else 0.
void presence_of_counts(std::span<const std::int32_t> counts, std::span<float> presence) {
  for (std::size_t index = 0; index < presence.size(); ++index) {
    presence[index] = counts[index / kStructureCount * kLabelCount + index % kStructureCount + 1] > 0 ? 1.0F : 0.0F;
  }
}

std::shared_ptr<std::uint8_t> shared_labels(const CineShape& shape) {
  auto memory = std::make_shared<cuda::DeviceBuffer>(static_cast<std::size_t>(shape.voxels()));
  auto* labels = memory->as<std::uint8_t>();
  return {std::move(memory), labels};
}

class DevicePipeline : public Pipeline {
 public:
  DevicePipeline(const Bundle& bundle, std::unique_ptr<const DeviceBackend> backend, MakeHostBackend reference,
                 int threads)
      : bundle_(bundle),
        backend_(std::move(backend)),
        make_reference_(std::move(reference)),
        threads_(threads),
        device_(cuda::current_device().index),
        stages_(load_device_stages(bundle, *backend_)),
        lanes_(stages_),
        verified_(stages_.verified()) {}

  Segmentation run(const CineView& cine, const RunOptions& options) const override {
    return translate_errors([&] {
      const cuda::DeviceScope device(device_);
      check_temporal(options);
      check(cine);
      verify_once(cine, options);
      return run_verified(cine, options);
    });
  }

  Parity verify(const CineView& cine) const override {
    return translate_errors([&] {
      const cuda::DeviceScope device(device_);
      check(cine);
      const std::lock_guard lock(verifying_);
      return verify_frames(cine, cine.shape.frames);
    });
  }

  void warm_up(const CineView& cine, const RunOptions& options) const override {
    translate_errors([&] {
      const cuda::DeviceScope device(device_);
      check(cine);
      run_verified(cine, options);
    });
  }

  std::int64_t frames_per_call(std::int64_t) const override { return stages_.max_frames(); }

 private:
  static void check(const CineView& cine) {
    check_geometry(cine);
    require_contiguous(cine);
  }

  void verify_once(const CineView& cine, const RunOptions& options) const {
    if (verified_) return;
    const std::lock_guard lock(verifying_);
    if (verified_) return;
    if (cine.memory == Memory::device) {
      cuda::check(cudaStreamSynchronize(static_cast<cudaStream_t>(options.stream)), "cudaStreamSynchronize");
    }
    const Parity parity = verify_frames(cine, std::min(kVerifiedFrames, cine.shape.frames));
    if (parity.passed) return;
    throw Error(ErrorCode::backend, "the engines failed the parity gate on this GPU: " + parity.summary +
                                        "; build them anew with tools/build_engine.py");
  }

  Parity verify_frames(const CineView& cine, std::int64_t frames) const {
    const HostCopy copy = copy_to_host(cine, frames);
    const Parity parity = join(check_parity(bundle_, *make_reference_(Precision::float32), stages_.tested(),
                                            stages_.max_frames(), copy.cine, threads_),
                               "the networks on the GPU", "those on the CPU");
    if (parity.passed) {
      stages_.mark_verified();
      verified_ = true;
    }
    return parity;
  }

  Segmentation run_verified(const CineView& cine, const RunOptions& options) const {
    StageClock clock;
    Segmentation result = empty_segmentation(cine.shape, options);
    if (options.device_labels) result.device_labels = shared_labels(cine.shape);
    lanes_.with_lane([&](DeviceLane& lane) {
      if (cine.memory == Memory::device) lane.wait_for(static_cast<cudaStream_t>(options.stream));
      run_frames(stages_.max_frames(), stages_.manifest, stages_.classify(), options, result,
                 [&](std::int64_t first, std::int64_t count, Gating gating) {
                   run_group(lane, cine, first, count, gating, result, clock);
                 });
    });
    result.report.stages = clock.stages();
    return result;
  }

  void run_group(DeviceLane& lane, const CineView& cine, std::int64_t first, std::int64_t count, Gating gating,
                 Segmentation& result, StageClock& clock) const {
    std::uint8_t* labels = result.device_labels.get();
    if (labels != nullptr) labels += first * cine.shape.voxels_per_frame();
    if (gating == Gating::classifier) {
      collect(infer(lane, cine, first, count, labels, !result.probabilities.empty(), clock), first, count, result);
      return;
    }
    // What the networks said of a cine of one group is still there.
    if (count < cine.shape.frames) infer(lane, cine, first, count, labels, !result.probabilities.empty(), clock);
    const auto presence = part(result.presence, first, kStructureCount * cine.shape.slices, count);
    clock.time("fusion", [&] { collect(lane.gate(presence, labels).results(), first, count, result); });
  }

  /// Runs the program, whose labels the classifier gates.
  ProgramResults infer(DeviceLane& lane, const CineView& cine, std::int64_t first, std::int64_t count,
                       std::uint8_t* labels, bool probabilities, StageClock& clock) const {
    CineShape shape = cine.shape;
    shape.frames = count;
    const DeviceProgram& program =
        lane.run({shape, cine.spacing, cine.type, probabilities}, cine, first, threads_, labels);
    const ProgramResults found = program.results();
    if (!std::all_of(found.ranges.begin(), found.ranges.end(), has_width)) refuse_pixels(cine);
    program.add_times(clock);
    return found;
  }

  /// Says what is wrong with the pixels in the CPU's words.
  [[noreturn]] static void refuse_pixels(const CineView& cine) {
    check_cine(cine.memory == Memory::host ? cine : copy_to_host(cine, cine.shape.frames).cine);
    throw Error(ErrorCode::backend, "the GPU found no range of intensities in an image that has one");
  }

  void collect(const ProgramResults& found, std::int64_t first, std::int64_t count, Segmentation& result) const {
    const std::int64_t voxels = result.shape.voxels_per_frame();
    if (!result.labels.empty()) copy_into(found.labels, part(result.labels, first, voxels, count));
    if (!result.probabilities.empty()) {
      copy_into(found.probabilities, part(result.probabilities, first, kLabelCount * voxels, count));
    }
    const std::span<float> presence = part(result.presence, first, kStructureCount * result.shape.slices, count);
    if (stages_.classify()) {
      copy_into(found.presence, presence);
    } else {
      presence_of_counts(found.label_counts, presence);
    }
    for (std::size_t index = 0; index < found.stage_counts.size(); ++index) {
      const std::int64_t frame = first + static_cast<std::int64_t>(index);
      write_agreement(stages_.manifest, stage_agreement(found.stage_counts[index]), frame, result);
    }
  }

  Bundle bundle_;  ///< for the reference, which is loaded when it is needed
  std::unique_ptr<const DeviceBackend> backend_;
  MakeHostBackend make_reference_;
  int threads_;
  int device_;
  DeviceStages stages_;
  mutable DeviceLanes lanes_;
  mutable std::mutex verifying_;
  mutable std::atomic<bool> verified_;
};

}  // namespace

std::unique_ptr<Pipeline> make_device_pipeline(const Bundle& bundle, std::unique_ptr<const DeviceBackend> backend,
                                               MakeHostBackend reference, int threads) {
  return translate_errors([&]() -> std::unique_ptr<Pipeline> {
    return std::make_unique<DevicePipeline>(bundle, std::move(backend), std::move(reference), threads);
  });
}

}  // namespace cardiacseg
