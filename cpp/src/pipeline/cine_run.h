#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "cardiacseg/options.h"
#include "cardiacseg/segmentation.h"
#include "pipeline/execution_plan.h"
#include "pipeline/results.h"

namespace cardiacseg {

/// Gives the plan for a kind of batch; it stays as long as no other is asked for.
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

/// `frames` frames in as few batches of at most `most` as there can be, the first ones larger by one frame or not at
/// all.
std::vector<FrameBatch> batches_of(std::int64_t frames, std::int64_t most);

/// What the batches of such a cine are: one or two kinds.
std::vector<BatchKind> kinds_of(const CineShape& shape, const Spacing& spacing, PixelType type, bool probabilities,
                                std::int64_t most);

/// Throws Error(invalid_input) for a value of RunOptions::temporal that there is not.
void check_temporal(const RunOptions& options);

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
  void relabel(const FrameBatch& batch, StageClock& clock);
  void label(ExecutionPlan& plan, const FrameBatch& batch, StageClock& clock);
  std::vector<bool> decide_presence();
  void report_progress(std::int64_t done) const;

  const Networks& networks_;
  PlanSource& plans_;
  const CineView& cine_;
  const RunOptions& options_;
  std::vector<FrameBatch> batches_;
  Segmentation& result_;
};

}  // namespace cardiacseg
