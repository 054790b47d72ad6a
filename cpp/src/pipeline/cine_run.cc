#include "pipeline/cine_run.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <string>
#include <utility>

#include "cardiacseg/error.h"
#include "cardiacseg/labels.h"
#include "pipeline/temporal_presence.h"
#include "pipeline/windowed_run.h"

namespace cardiacseg {
namespace {

template <class T>
void copy_into(std::span<const T> from, std::span<T> to) {
  std::copy(from.begin(), from.end(), to.begin());
}

/// 1 if voxels have a structure's label in a slice, else 0.
void presence_of_counts(std::span<const std::int32_t> counts, std::span<float> presence) {
  for (std::size_t index = 0; index < presence.size(); ++index) {
    presence[index] = counts[index / kStructureCount * kLabelCount + index % kStructureCount + 1] > 0 ? 1.0F : 0.0F;
  }
}

void write_agreement(const Manifest& manifest, const Agreement& agreement, std::int64_t frame, Segmentation& result) {
  std::copy(agreement.begin(), agreement.end(), frame_span(result.agreement, {frame, 1}, kStructureCount).begin());
  if (manifest.quality) {
    result.quality.at(static_cast<std::size_t>(frame)) = predicted_quality(*manifest.quality, agreement);
  }
}

}  // namespace

Segmentation empty_segmentation(const CineShape& shape, const RunOptions& options) {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  const auto voxels = static_cast<std::size_t>(shape.voxels());
  const auto frames = static_cast<std::size_t>(shape.frames);
  return {.shape = shape,
          .labels = std::vector<std::uint8_t>(options.device_labels ? 0 : voxels),
          .device_labels = nullptr,
          .presence = std::vector<float>(static_cast<std::size_t>(shape.frames * shape.slices * kStructureCount)),
          .probabilities = std::vector<float>(options.probabilities ? kLabelCount * voxels : 0),
          .agreement = std::vector<float>(kStructureCount * frames, nan),
          .quality = std::vector<float>(frames, nan),
          .warnings = {},
          .report = {}};
}

void collect(const Manifest& manifest, const BatchResults& found, const FrameBatch& batch, Segmentation& result) {
  const std::int64_t voxels = result.shape.voxels_per_frame();
  if (!result.labels.empty()) copy_into(found.labels, frame_span(result.labels, batch, voxels));
  if (!result.probabilities.empty()) {
    copy_into(found.probabilities, frame_span(result.probabilities, batch, kLabelCount * voxels));
  }
  const std::span<float> presence = frame_span(result.presence, batch, kStructureCount * result.shape.slices);
  copy_into(found.presence, presence.first(found.presence.size()));
  if (found.presence.empty()) presence_of_counts(found.label_counts, presence);
  for (std::size_t index = 0; index < found.stage_counts.size(); ++index) {
    const std::int64_t frame = batch.first + static_cast<std::int64_t>(index);
    write_agreement(manifest, stage_agreement(found.stage_counts[index]), frame, result);
  }
}

Agreement stage_agreement(const ops::LabelCounts& counts) {
  Agreement dice;
  for (std::size_t k = 0; k < dice.size(); ++k) {
    const auto sum = static_cast<float>(std::int64_t{counts.first[k + 1]} + counts.second[k + 1]);
    dice[k] = sum > 0 ? 2.0F * static_cast<float>(counts.both[k + 1]) / sum : 1.0F;
  }
  return dice;
}

float predicted_quality(const QualityRule& rule, const Agreement& agreement) {
  const double mean = std::accumulate(agreement.begin(), agreement.end(), 0.0) / kStructureCount;
  return static_cast<float>(std::clamp(rule.intercept + rule.slope * mean, 0.0, 1.0));
}

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

void report_progress(const RunOptions& options, std::int64_t done, std::int64_t total) {
  const auto stop = [&](const std::string& who) {
    throw Error(ErrorCode::cancelled,
                who + " stopped the run after " + std::to_string(done) + " of " + std::to_string(total) + " frames");
  };
  if (options.progress && !options.progress(done, total)) stop("the progress function");
  if (options.keep_going && !options.keep_going()) stop("the caller");
}

void CineRun::run(StageClock& clock) {
  const std::int64_t total = cine_.shape.frames;
  for (const FrameBatch& batch : batches_) {
    report_progress(batch.first);
    run_batch(batch, clock);
  }
  if (decides_presence()) {
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

bool CineRun::decides_presence() const {
  return networks_.classify() && options_.temporal != "off" && cine_.shape.frames >= kFewestTemporalFrames;
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
  if (decides_presence()) keep_outputs(ready, batch);
}

void CineRun::keep_outputs(const ExecutionPlan& plan, const FrameBatch& batch) {
  const std::size_t bytes = plan.output_bytes();
  if (bytes == 0 || kept_bytes_ + bytes > kMostKeptBytes) return;
  kept_.emplace(batch.first, plan.keep());
  kept_bytes_ += bytes;
}

/// Labels gated by the presence that `result_` holds.
void CineRun::relabel(const FrameBatch& batch, StageClock& clock) {
  ExecutionPlan& ready = plan(batch);
  if (const auto kept = kept_.find(batch.first); kept != kept_.end()) {
    ready.restore(kept->second, batch.first);
  } else if (!ready.holds(batch.first)) {
    ready.infer(cine_, batch.first);
  }
  ready.gate(frame_span(result_.presence, batch, kStructureCount * cine_.shape.slices));
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

void run_on_host(const Networks& networks, const CineView& cine, const RunOptions& options, std::int64_t most,
                 int threads, Segmentation& result, StageClock& clock) {
  if (networks.manifest.windows) {
    WindowedRun(networks, cine, options, threads, result).run(clock);
    return;
  }
  HostPlans plans(networks, threads, options.keep_going);
  CineRun(networks, plans, cine, options, most, result).run(clock);
}

}  // namespace cardiacseg
