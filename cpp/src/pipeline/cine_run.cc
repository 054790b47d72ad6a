#include "pipeline/cine_run.h"

#include <algorithm>
#include <string>
#include <utility>

#include "cardiacseg/error.h"
#include "cardiacseg/labels.h"
#include "pipeline/temporal_presence.h"

namespace cardiacseg {

ExecutionPlan& HostPlans::plan(const BatchKind& kind) {
  if (!plan_ || !(plan_->kind() == kind)) {
    plan_.reset();
    plan_.emplace(networks_, kind, *space_);
  }
  return *plan_;
}

std::vector<FrameBatch> batches_of(std::int64_t frames, std::int64_t most) {
  const std::int64_t count = (frames + most - 1) / most;
  std::vector<FrameBatch> batches;
  for (std::int64_t index = 0; index < count; ++index) {
    const std::int64_t first = batches.empty() ? 0 : batches.back().first + batches.back().count;
    batches.push_back({first, frames / count + (index < frames % count ? 1 : 0)});
  }
  return batches;
}

std::vector<BatchKind> kinds_of(const CineShape& shape, const Spacing& spacing, PixelType type, bool probabilities,
                                std::int64_t most) {
  std::vector<BatchKind> kinds;
  for (const FrameBatch& batch : batches_of(shape.frames, most)) {
    BatchKind kind{.shape = shape, .spacing = spacing, .type = type, .probabilities = probabilities};
    kind.shape.frames = batch.count;
    if (kinds.empty() || !(kinds.back() == kind)) kinds.push_back(kind);
  }
  return kinds;
}

void check_temporal(const RunOptions& options) {
  if (options.temporal == "auto" || options.temporal == "off") return;
  throw Error(ErrorCode::invalid_input, "temporal: expected \"auto\" or \"off\", got \"" + options.temporal + "\"");
}

void CineRun::run(StageClock& clock) {
  const std::int64_t total = cine_.shape.frames;
  for (const FrameBatch& batch : batches_) {
    report_progress(batch.first);
    run_batch(batch, clock);
  }
  if (networks_.classify() && options_.temporal != "off" && total >= kFewestTemporalFrames) {
    const std::vector<bool> changed = decide_presence();
    for (const FrameBatch& batch : batches_) {
      const auto first = changed.begin() + batch.first;
      if (std::find(first, first + batch.count, true) == first + batch.count) continue;
      report_progress(batches_.back().first);
      relabel(batch, clock);
    }
  }
  report_progress(total);
  result_.report.stages = clock.stages();
}

ExecutionPlan& CineRun::plan(const FrameBatch& batch) {
  CineShape shape = cine_.shape;
  shape.frames = batch.count;
  return plans_.plan({shape, cine_.spacing, cine_.type, !result_.probabilities.empty()});
}

void CineRun::run_batch(const FrameBatch& batch, StageClock& clock) {
  ExecutionPlan& ready = plan(batch);
  ready.infer(cine_, batch.first);
  label(ready, batch, clock);
}

/// Labels gated by the presence that `result_` holds.
void CineRun::relabel(const FrameBatch& batch, StageClock& clock) {
  ExecutionPlan& ready = plan(batch);
  if (!ready.holds(batch.first)) ready.infer(cine_, batch.first);
  ready.gate(part(result_.presence, batch, kStructureCount * cine_.shape.slices));
  label(ready, batch, clock);
}

void CineRun::label(ExecutionPlan& plan, const FrameBatch& batch, StageClock& clock) {
  std::uint8_t* labels = result_.device_labels.get();
  if (labels != nullptr) labels += batch.first * cine_.shape.voxels_per_frame();
  plan.label(labels);
  plan.finish(clock);
  if (!plan.why_enqueued().empty()) result_.report.graph = "no: " + plan.why_enqueued();
  collect(networks_.manifest, plan.results(), batch, result_);
}

/// Replaces each frame's own presence by the temporal one. Returns for each frame whether that changes a gate.
std::vector<bool> CineRun::decide_presence() {
  const float threshold = networks_.manifest.presence_threshold;
  const std::vector<float> own =
      std::exchange(result_.presence, temporal_presence(result_.presence, cine_.shape.slices, threshold));
  const std::size_t per_frame = own.size() / static_cast<std::size_t>(cine_.shape.frames);
  std::vector<bool> changed(static_cast<std::size_t>(cine_.shape.frames));
  for (std::size_t index = 0; index < own.size(); ++index) {
    if ((own[index] > threshold) == (result_.presence[index] > threshold)) continue;
    changed[index / per_frame] = true;
    ++result_.report.presence_changes;
  }
  result_.report.temporal = true;
  return changed;
}

/// Tells the progress function and asks whether to go on. Throws Error(cancelled) if either says stop.
void CineRun::report_progress(std::int64_t done) const {
  const std::int64_t total = cine_.shape.frames;
  const auto stop = [&](const std::string& who) {
    throw Error(ErrorCode::cancelled,
                who + " stopped the run after " + std::to_string(done) + " of " + std::to_string(total) + " frames");
  };
  if (options_.progress && !options_.progress(done, total)) stop("the progress function");
  if (options_.keep_going && !options_.keep_going()) stop("the caller");
}

}  // namespace cardiacseg
