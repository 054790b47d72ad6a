#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "bundle/bundle.h"
#include "cardiacseg/labels.h"
#include "cardiacseg/options.h"
#include "cardiacseg/segmentation.h"
#include "ops/label_counts.h"
#include "pipeline/execution_plan.h"

namespace cardiacseg {

/// Frames of a cine that go through the networks together.
struct FrameBatch {
  std::int64_t first;
  std::int64_t count;
};

/// Elements of `values` that belong to the frames of `batch`; `size` are those of one frame.
template <class Values>
auto frame_span(Values& values, const FrameBatch& batch, std::int64_t size) {
  return std::span(values).subspan(static_cast<std::size_t>(batch.first * size),
                                   static_cast<std::size_t>(batch.count * size));
}

/// A result with arrays of their final sizes, and the values of outputs that the model does not give.
Segmentation empty_segmentation(const CineShape& shape, const RunOptions& options);

/// Writes the results of the frames of `batch`.
void collect(const Manifest& manifest, const BatchResults& found, const FrameBatch& batch, Segmentation& result);

/// Dice of RV, MYO and LV.
using Agreement = std::array<float, kStructureCount>;

/// Agreement of the two stages over a stack, from the pixels of each label that ops::stage_counts gives. 1 if a
/// structure is in neither.
Agreement stage_agreement(const ops::LabelCounts& counts);

/// Predicted mean Dice of the labels: intercept + slope * mean agreement, from 0 to 1.
float predicted_quality(const QualityRule& rule, const Agreement& agreement);

/// Gives the plan for a kind of batch, valid until another plan is asked for.
class PlanSource {
 public:
  virtual ~PlanSource() = default;
  virtual ExecutionPlan& plan(const BatchKind& kind) = 0;
};

/// One plan at a time, on the host.
class HostPlans : public PlanSource {
 public:
  HostPlans(const Networks& networks, int threads, const KeepGoing& keep_going)
      : networks_(networks), space_(make_host_space(threads, keep_going)) {}

  ExecutionPlan& plan(const BatchKind& kind) override;

 private:
  const Networks& networks_;
  std::unique_ptr<Space> space_;
  std::optional<ExecutionPlan> plan_;
};

/// Splits `frames` frames into as few batches of at most `most` as possible; sizes differ by one frame at most.
std::vector<FrameBatch> batches_of(std::int64_t frames, std::int64_t most);

/// The one or two kinds of batch of such a cine.
std::vector<BatchKind> kinds_of(const CineShape& shape, const Spacing& spacing, PixelType type, bool probabilities,
                                std::int64_t most);

/// Tells the progress function that `done` of `total` frames are done and asks whether to go on. Throws
/// Error(cancelled) if either says stop.
void report_progress(const RunOptions& options, std::int64_t done, std::int64_t total);

/// Throws Error(invalid_input) for an unknown value of RunOptions::temporal.
void check_temporal(const RunOptions& options);

/// What a run on the host keeps of the networks' outputs, so that frames are labelled again without them.
inline constexpr std::size_t kMostKeptBytes = std::size_t{160} << 20;

/// A run over a cine whose pixels are checked: batch after batch, then presence over the cardiac cycle, then again
/// the batches in which that changes a gate.
class CineRun {
 public:
  /// All must outlive it. `result` has its final size; its report's stages, temporal, presence_changes and graph are
  /// filled. Batches are of at most `most` frames.
  CineRun(const Networks& networks, PlanSource& plans, const CineView& cine, const RunOptions& options,
          std::int64_t most, Segmentation& result)
      : networks_(networks),
        plans_(plans),
        cine_(cine),
        options_(options),
        batches_(batches_of(cine.shape.frames, most)),
        result_(result) {}

  /// Throws Error(cancelled), and what plans throw.
  void run(StageClock& clock);

 private:
  ExecutionPlan& plan(const FrameBatch& batch);
  void run_batch(const FrameBatch& batch, StageClock& clock);
  bool decides_presence() const;
  void keep_outputs(const ExecutionPlan& plan, const FrameBatch& batch);
  void relabel(const FrameBatch& batch, StageClock& clock);
  void label(ExecutionPlan& plan, const FrameBatch& batch, StageClock& clock);
  std::vector<bool> decide_presence();
  void report_progress(std::int64_t done) const { cardiacseg::report_progress(options_, done, cine_.shape.frames); }

  const Networks& networks_;
  PlanSource& plans_;
  const CineView& cine_;
  const RunOptions& options_;
  std::vector<FrameBatch> batches_;
  Segmentation& result_;
  std::map<std::int64_t, KeptOutputs> kept_;  ///< by the first frame of their batch
  std::size_t kept_bytes_ = 0;
};

/// A run on the host by CineRun or, if the networks see windows, by WindowedRun. As CineRun; operations use at most
/// `threads` threads (0: all cores).
void run_on_host(const Networks& networks, const CineView& cine, const RunOptions& options, std::int64_t most,
                 int threads, Segmentation& result, StageClock& clock);

}  // namespace cardiacseg
