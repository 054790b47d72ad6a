#include "pipeline/execution_plan.h"

#include <algorithm>
#include <array>
#include <exception>
#include <utility>

#include "cardiacseg/labels.h"

namespace cardiacseg {
namespace {

ops::FusionGeometry fusion_geometry(const BatchKind& kind, const Manifest& manifest) {
  return {.slices = kind.shape.slices,
          .rows = kind.shape.rows,
          .columns = kind.shape.columns,
          .row_spacing = kind.spacing.row,
          .column_spacing = kind.spacing.column,
          .target = manifest.spacing_mm,
          .crop_rows = manifest.crop_pixels,
          .crop_columns = manifest.crop_pixels};
}

}  // namespace

bool BatchKind::operator==(const BatchKind& other) const {
  return shape == other.shape && type == other.type && probabilities == other.probabilities &&
         spacing.slice == other.spacing.slice && spacing.row == other.spacing.row &&
         spacing.column == other.spacing.column;
}

// --- memory, and networks set up ---

ExecutionPlan::ExecutionPlan(const Networks& networks, const BatchKind& kind, Space& space)
    : networks_(networks),
      kind_(kind),
      space_(space),
      crop_{kind.shape.slices, networks.manifest.crop_pixels, networks.manifest.crop_pixels},
      image_(space.make_image(kind.shape, kind.type)),
      fine_(resampling(networks.manifest.spacing_mm)),
      origins_(array<ops::CropOrigin>(stacks())),
      ranges_(output<ops::IntensityRange>(stacks())),
      presence_(output<float>(networks.classify() ? kStructureCount * all_slices() : 0)),
      label_counts_(output<std::int32_t>(networks.classify() ? 0 : kLabelCount * all_slices())),
      stage_counts_(output<ops::LabelCounts>(networks.ref ? stacks() : 0)),
      range_workspace_(array<std::byte>(static_cast<std::int64_t>(
          space.range_workspace(kind.type, kind.shape.frames, kind.shape.voxels_per_frame())))),
      crops_(array<float>(stacks() * crop_.voxels())),
      seg_logits_(array<float>(kLabelCount * stacks() * crop_.voxels())),
      labels_(output<std::uint8_t>(kind.shape.voxels())),
      probabilities_(output<float>(kind.probabilities ? kLabelCount * kind.shape.voxels() : 0)),
      seg_(prepare(*networks.seg, 1)) {
  space.fill_zero(range_workspace_.data(), range_workspace_.bytes());
  if (networks.ref) {
    ref_logits_ = array<float>(static_cast<std::int64_t>(seg_logits_.count));
    ref_ = prepare(*networks.ref, kLabelCount);
  }
  if (networks.locate) {
    make_locator();
  } else {
    place_origins();
  }
  if (networks.manifest.clean_up) {
    keep_largest_component_workspace_ = array<std::byte>(static_cast<std::int64_t>(
        space.keep_largest_component_workspace(all_slices(), kind.shape.rows, kind.shape.columns)));
  }
  bind_networks();
}

template <class T>
Array<T> ExecutionPlan::array(std::int64_t count) {
  Array<T> made{.memory = nullptr, .count = static_cast<std::size_t>(count)};
  made.memory = space_.allocate(made.bytes());
  bytes_ += made.bytes();
  return made;
}

template <class T>
Output<T> ExecutionPlan::output(std::int64_t count) {
  Output<T> made{array<T>(count), {}};
  made.mirror = space_.mirror(made.memory, made.bytes());
  return made;
}

Axis ExecutionPlan::axis(std::int64_t length, double spacing, double target) {
  Axis made{.taps = ops::resample_taps(length, spacing, target), .first = {}, .count = {}, .weights = {}};
  const auto constant = [this](const auto& values) {
    return space_.constant(values.data(), values.size() * sizeof values[0]);
  };
  made.first = constant(made.taps.first);
  made.count = constant(made.taps.count);
  made.weights = constant(made.taps.weights);
  return made;
}

Resampling ExecutionPlan::resampling(double target) {
  return {.rows = axis(kind_.shape.rows, kind_.spacing.row, target),
          .columns = axis(kind_.shape.columns, kind_.spacing.column, target)};
}

void ExecutionPlan::make_locator() {
  const LocateRules& rules = networks_.manifest.locate.value();
  Locator& locator = locator_.emplace();
  locator.resampling = resampling(rules.spacing_mm);
  locator.grid = {crop_.slices, locator.resampling.rows.taps.outputs, locator.resampling.columns.taps.outputs};
  locator.padded = padded_grid(rules, locator.grid);
  locator.corners = array<ops::CropOrigin>(stacks());
  space_.fill_zero(locator.corners.data(), locator.corners.bytes());
  locator.input = array<float>(stacks() * locator.padded.voxels());
  locator.heart = array<float>(stacks() * locator.padded.voxels());
  locator.workspace = array<std::byte>(static_cast<std::int64_t>(space_.heart_workspace(stacks(), locator.grid)));
  locator.execution = space_.prepare(*networks_.locate,
                                     {stacks(), crop_.slices, 1, locator.padded.rows, locator.padded.columns}, false);
}

/// Every crop in the middle of its image.
void ExecutionPlan::place_origins() {
  middle_.assign(static_cast<std::size_t>(stacks()),
                 {ops::middle_start(fine_.rows.taps.outputs, 1.0, crop_.rows),
                  ops::middle_start(fine_.columns.taps.outputs, 1.0, crop_.columns)});
  origins_.memory = space_.constant(middle_.data(), origins_.bytes());
}

std::unique_ptr<DeviceExecution> ExecutionPlan::prepare(const Network& network, std::int64_t channels) {
  return space_.prepare(network, {stacks(), crop_.slices, channels, crop_.rows, crop_.columns}, true);
}

void ExecutionPlan::bind_networks() {
  std::size_t bytes = seg_->scratch_bytes();
  if (ref_) bytes = std::max(bytes, ref_->scratch_bytes());
  if (locator_) bytes = std::max(bytes, locator_->execution->scratch_bytes());
  scratch_ = array<std::byte>(static_cast<std::int64_t>(bytes));
  bind(*seg_, *networks_.seg, crops_.data(), seg_logits_.data());
  if (ref_) bind(*ref_, *networks_.ref, seg_logits_.data(), ref_logits_.data());
  if (locator_) bind(*locator_->execution, *networks_.locate, locator_->input.data(), locator_->heart.data());
}

void ExecutionPlan::bind(DeviceExecution& execution, const Network& network, const float* input, float* output) {
  const std::array outputs{output, presence_.data()};
  execution.bind(input, std::span(outputs).first(network.outputs().size()), scratch_.data());
}

// --- a run ---

void ExecutionPlan::infer(const CineView& cine, std::int64_t first) {
  pending_ = true;
  first_ = -1;
  const bool uploads = space_.memory() == MemorySpace::device;
  if (uploads) begin(upload_);
  pixels_ = space_.load(cine, first, stacks(), image_);
  if (uploads) end_stage("upload");
  start(before_labels_);
  first_ = first;
}

std::size_t ExecutionPlan::output_bytes() const {
  if (space_.memory() == MemorySpace::device) return 0;
  return origins_.bytes() + seg_logits_.bytes() + ref_logits_.bytes();
}

KeptOutputs ExecutionPlan::keep() const {
  const auto copy = [](const auto& array) { return std::vector(array.data(), array.data() + array.count); };
  return {.origins = copy(origins_), .seg_logits = copy(seg_logits_), .ref_logits = copy(ref_logits_)};
}

void ExecutionPlan::restore(const KeptOutputs& kept, std::int64_t first) {
  std::ranges::copy(kept.origins, origins_.data());
  std::ranges::copy(kept.seg_logits, seg_logits_.data());
  std::ranges::copy(kept.ref_logits, ref_logits_.data());
  first_ = first;
}

void ExecutionPlan::gate(std::span<const float> presence) {
  std::copy(presence.begin(), presence.end(), presence_.on_host().begin());
  space_.upload(presence_.data(), presence_.mirror.get(), presence_.bytes());
}

void ExecutionPlan::label(std::uint8_t* device_labels) {
  pending_ = true;
  start(from_labels_);
  const bool downloads = space_.memory() == MemorySpace::device;
  if (downloads) begin(download_);
  if (device_labels == nullptr) {
    download(labels_);
  } else {
    space_.copy(device_labels, labels_.data(), labels_.bytes());
  }
  download(probabilities_);
  if (downloads) end_stage("download");
}

void ExecutionPlan::finish(StageClock& clock) {
  space_.wait();
  for (const Timeline* timeline : std::exchange(to_add_, {})) timeline->add_to(clock);
  why_enqueued_.clear();
  for (Segment* segment : std::exchange(started_, {})) {
    if (segment->graph || space_.memory() == MemorySpace::host) continue;
    record(*segment);
    why_enqueued_ = segment->why_not;
  }
  pending_ = false;
}

bool ExecutionPlan::has_ranges(const CineView& cine, std::int64_t first) {
  pending_ = true;
  first_ = -1;
  pixels_ = space_.load(cine, first, stacks(), image_);
  enqueue_ranges();
  download(ranges_);
  space_.wait();
  pending_ = false;
  return std::ranges::all_of(ranges_.on_host(),
                             [](const ops::IntensityRange& range) { return range.low < range.high; });
}

/// Replays the segment's graph, or enqueues its stages.
void ExecutionPlan::start(Segment& segment) {
  started_.push_back(&segment);
  if (segment.graph) {
    segment.graph->launch();
    to_add_.push_back(&segment.timeline);
  } else {
    enqueue(segment);
  }
}

void ExecutionPlan::enqueue(Segment& segment) {
  begin(segment.timeline);
  (this->*segment.enqueue)();
}

/// Records what the segment enqueues as a graph, once its work has run.
void ExecutionPlan::record(Segment& segment) {
  if (++segment.runs < segment.next_try) return;
  segment.next_try = 2 * segment.runs;
  segment.why_not = why_not_capturable();
  if (!segment.why_not.empty()) return;
  try {
    segment.graph = space_.capture([this, &segment] { enqueue(segment); });
    segment.why_not = "the first run on images of a kind is enqueued and then recorded as a graph";
  } catch (const std::exception& error) {
    segment.why_not = error.what();
  }
  to_add_.clear();
}

/// Which network may not be part of a graph; empty if all may.
std::string ExecutionPlan::why_not_capturable() const {
  std::string found;
  const auto ask = [&](const char* stage, const DeviceExecution* execution) {
    if (execution == nullptr || execution->capturable(space_.stream())) return;
    found = std::string("the inference library does not let network ") + stage + " be recorded";
  };
  ask("locate", locator_ ? locator_->execution.get() : nullptr);
  ask("seg", seg_.get());
  ask("ref", ref_.get());
  return found;
}

void ExecutionPlan::begin(Timeline& timeline) {
  timeline_ = &timeline;
  to_add_.push_back(timeline_);
  timeline.begin(space_);
}

void ExecutionPlan::end_stage(const char* stage) { timeline_->end(stage, space_); }

// --- the stages, in their order ---

void ExecutionPlan::enqueue_networks() {
  enqueue_ranges();
  if (locator_) enqueue_locator();
  enqueue_crop();
  seg_->enqueue(space_.stream());
  end_stage("seg");
  if (ref_) {
    ref_->enqueue(space_.stream());
    end_stage("ref");
  }
}

void ExecutionPlan::enqueue_labels() {
  enqueue_fusion();
  if (networks_.manifest.clean_up) enqueue_keep_largest_component();
  if (ref_) enqueue_agreement();
  download(presence_);
  download(label_counts_);
  download(stage_counts_);
}

void ExecutionPlan::enqueue_ranges() {
  space_.percentile_range(pixels_, networks_.manifest.percentiles, range_workspace_.data(), ranges_.data());
}

void ExecutionPlan::enqueue_locator() {
  const Grid& grid = locator_->grid;
  const Grid& padded = locator_->padded;
  space_.preprocess(pixels_, locator_->resampling, ranges_.data(), locator_->corners.data(), padded,
                    locator_->input.data());
  end_stage("preprocess");
  locator_->execution->enqueue(space_.stream());
  space_.heart_localization(locator_->heart.data(),
                            {stacks(), padded.slices, padded.rows, padded.columns, grid.rows, grid.columns},
                            crop_rules(networks_.manifest), locator_->workspace.data(), origins_.data());
  end_stage("locate");
}

void ExecutionPlan::enqueue_crop() {
  space_.preprocess(pixels_, fine_, ranges_.data(), origins_.data(), crop_, crops_.data());
  end_stage("preprocess");
}

void ExecutionPlan::enqueue_fusion() {
  space_.fill_zero(label_counts_.data(), label_counts_.bytes());
  const Manifest& manifest = networks_.manifest;
  space_.mask_fusion(
      {.logits = ref_ ? ref_logits_.data() : seg_logits_.data(),
       .presence = presence_.data(),
       .origins = origins_.data(),
       .stacks = stacks()},
      {manifest.presence_threshold, manifest.temperature}, fusion_geometry(kind_, manifest),
      {.labels = labels_.data(), .probabilities = probabilities_.data(), .counts = label_counts_.data()});
  end_stage("fusion");
}

void ExecutionPlan::enqueue_keep_largest_component() {
  space_.keep_largest_component(labels_.data(), all_slices(), kind_.shape.rows, kind_.shape.columns,
                                keep_largest_component_workspace_.data());
  end_stage("clean_up");
}

void ExecutionPlan::enqueue_agreement() {
  space_.fill_zero(stage_counts_.data(), stage_counts_.bytes());
  space_.stage_counts(seg_logits_.data(), ref_logits_.data(), presence_.data(), networks_.manifest.presence_threshold,
                      {stacks(), crop_.slices, crop_.rows, crop_.columns}, stage_counts_.data());
  end_stage("agreement");
}

template <class T>
void ExecutionPlan::download(const Output<T>& output) {
  space_.download(output.mirror.get(), output.data(), output.bytes());
}

}  // namespace cardiacseg
