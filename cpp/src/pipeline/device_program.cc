#include "pipeline/device_program.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <exception>
#include <utility>
#include <vector>

#include "cardiacseg/labels.h"
#include "cuda/copy.h"
#include "ops/clean_up_cuda.h"
#include "ops/heart_centre_cuda.h"
#include "ops/mask_fusion_cuda.h"
#include "ops/percentile_range_cuda.h"
#include "ops/stage_counts_cuda.h"
#include "pipeline/load_stages.h"
#include "pipeline/locate_stage.h"

namespace cardiacseg {
namespace {

/// Alignment of what an execution is bound to.
constexpr std::size_t kAlignment = 256;

std::size_t aligned(std::size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

template <class T>
cuda::DeviceBuffer device_array(std::int64_t count) {
  return cuda::DeviceBuffer(static_cast<std::size_t>(count) * sizeof(T));
}

template <class T>
cuda::DeviceBuffer zeros(std::int64_t bytes, cudaStream_t stream) {
  cuda::DeviceBuffer buffer = device_array<T>(bytes);
  cuda::fill(buffer.data(), 0, buffer.bytes(), stream);
  return buffer;
}

ops::FusionGeometry fusion_geometry(const ProgramKey& key, const Manifest& manifest) {
  return {.slices = key.shape.slices,
          .rows = key.shape.rows,
          .columns = key.shape.columns,
          .row_spacing = key.spacing.row,
          .column_spacing = key.spacing.column,
          .target = manifest.spacing_mm,
          .crop_rows = manifest.crop_pixels,
          .crop_columns = manifest.crop_pixels};
}

}  // namespace

bool ProgramKey::operator==(const ProgramKey& other) const {
  return shape == other.shape && type == other.type && probabilities == other.probabilities &&
         spacing.slice == other.spacing.slice && spacing.row == other.spacing.row &&
         spacing.column == other.spacing.column;
}

DeviceProgram::Locator::Locator(const DeviceStages& stages, const ProgramKey& key, cudaStream_t stream)
    : resampling(key.shape, key.spacing, stages.manifest.locate->spacing_mm, stream),
      padded(padded_grid(*stages.manifest.locate, resampling.grid())),
      corners(zeros<ops::CropOrigin>(key.shape.frames, stream)),
      input(device_array<float>(key.shape.frames * padded.voxels())),
      heart(device_array<float>(key.shape.frames * padded.voxels())),
      workspace(ops::heart_centre_workspace(key.shape.frames, resampling.grid().rows, resampling.grid().columns)),
      execution(stages.locate->prepare({key.shape.frames, padded.slices, 1, padded.rows, padded.columns})) {}

DeviceProgram::SmallLayout::SmallLayout(const DeviceStages& stages, const ProgramKey& key) {
  const auto frames = static_cast<std::size_t>(key.shape.frames);
  const std::size_t slices = frames * static_cast<std::size_t>(key.shape.slices);
  presence = aligned(frames * sizeof(ops::IntensityRange));
  label_counts = presence + aligned(stages.classify() ? slices * kStructureCount * sizeof(float) : 0);
  stage_counts = label_counts + aligned(slices * kLabelCount * sizeof(std::int32_t));
  bytes = stage_counts + aligned(stages.ref ? frames * sizeof(ops::LabelCounts) : 0);
}

DeviceProgram::DeviceProgram(const DeviceStages& stages, const ProgramKey& key, cudaStream_t stream)
    : stages_(stages),
      key_(key),
      stream_(stream),
      crop_{key.shape.slices, stages.manifest.crop_pixels, stages.manifest.crop_pixels},
      image_(key.shape, key.type),
      fine_(key.shape, key.spacing, stages.manifest.spacing_mm, stream),
      layout_(stages, key),
      small_(layout_.bytes),
      small_on_host_(layout_.bytes),
      range_workspace_(ops::percentile_range_workspace(key.type, key.shape.frames, key.shape.voxels_per_frame())),
      origins_(device_array<ops::CropOrigin>(key.shape.frames)),
      crops_(device_array<float>(key.shape.frames * crop_.voxels())),
      seg_logits_(device_array<float>(kLabelCount * key.shape.frames * crop_.voxels())),
      labels_(device_array<std::uint8_t>(key.shape.voxels())),
      labels_on_host_(labels_.bytes()),
      seg_(prepare(*stages.seg, 1)) {
  cuda::fill(range_workspace_.data(), 0, range_workspace_.bytes(), stream);
  if (stages.locate) {
    locator_.emplace(stages, key, stream);
  } else {
    set_origins();
  }
  if (stages.ref) {
    ref_logits_ = cuda::DeviceBuffer(seg_logits_.bytes());
    ref_ = prepare(*stages.ref, kLabelCount);
  }
  if (stages.manifest.clean_up) {
    clean_up_workspace_ = cuda::DeviceBuffer(ops::clean_up_workspace(all_slices(), key.shape.rows, key.shape.columns));
  }
  if (key.probabilities) {
    probabilities_ = device_array<float>(kLabelCount * key.shape.voxels());
    probabilities_on_host_ = cuda::PinnedBuffer(probabilities_.bytes());
  }
  bind();
}

std::unique_ptr<DeviceExecution> DeviceProgram::prepare(const DeviceNetwork& network, std::int64_t channels) const {
  return network.prepare({stacks(), crop_.slices, channels, crop_.rows, crop_.columns});
}

/// Every crop in the middle of its image.
void DeviceProgram::set_origins() {
  const std::vector<ops::CropOrigin> origins(static_cast<std::size_t>(stacks()),
                                             {ops::middle_start(fine_.grid().rows, 1.0, crop_.rows),
                                              ops::middle_start(fine_.grid().columns, 1.0, crop_.columns)});
  cuda::upload(origins_.data(), origins.data(), origins_.bytes(), stream_);
}

void DeviceProgram::bind() {
  std::size_t bytes = seg_->scratch_bytes();
  if (ref_) bytes = std::max(bytes, ref_->scratch_bytes());
  if (locator_) bytes = std::max(bytes, locator_->execution->scratch_bytes());
  scratch_ = cuda::DeviceBuffer(bytes);
  const auto bind_one = [&](DeviceExecution& execution, const DeviceNetwork& network, const float* input,
                            float* output) {
    const std::array outputs{output, small<float>(layout_.presence)};
    execution.bind(input, std::span(outputs).first(network.outputs().size()), scratch_.data());
  };
  bind_one(*seg_, *stages_.seg, crops_.as<float>(), seg_logits_.as<float>());
  if (ref_) bind_one(*ref_, *stages_.ref, seg_logits_.as<float>(), ref_logits_.as<float>());
  if (locator_) {
    bind_one(*locator_->execution, *stages_.locate, locator_->input.as<float>(), locator_->heart.as<float>());
  }
}

template <class T>
T* DeviceProgram::small(std::size_t offset) const {
  return reinterpret_cast<T*>(small_.as<std::byte>() + offset);
}

void DeviceProgram::run(const CineView& cine, std::int64_t first, int threads, std::uint8_t* device_labels) {
  start_.record(stream_);
  image_.upload(cine, first, threads, stream_);
  if (graph_) {
    graph_->launch(stream_);
  } else {
    enqueue();
  }
  download(device_labels);
  end_.record(stream_);
  cuda::check(cudaStreamSynchronize(stream_), "a run on the GPU");
  if (!std::exchange(ran_, true)) try_capture();
}

/// Records what `enqueue` does as a CUDA graph. Where that is refused it is enqueued each time.
void DeviceProgram::try_capture() {
  const auto capturable = [this](const DeviceExecution& execution) { return execution.capturable(stream_); };
  if (!capturable(*seg_) || (ref_ && !capturable(*ref_)) || (locator_ && !capturable(*locator_->execution))) return;
  try {
    graph_ = cuda::Graph::capture(stream_, [this] { enqueue(); });
  } catch (const std::exception&) {
    graph_.reset();
  }
}

void DeviceProgram::enqueue() {
  marks_.rewind();
  marks_.set("upload", stream_);
  enqueue_ranges();
  if (locator_) enqueue_locator();
  enqueue_crop();
  seg_->enqueue(stream_);
  marks_.set("seg", stream_);
  if (ref_) {
    ref_->enqueue(stream_);
    marks_.set("ref", stream_);
  }
  results_mark_ = marks_.position();
  enqueue_results();
}

/// What comes after the networks.
void DeviceProgram::enqueue_results() {
  enqueue_fusion();
  if (stages_.manifest.clean_up) enqueue_clean_up();
  if (ref_) enqueue_agreement();
  cuda::download(small_on_host_.data(), small_.data(), small_.bytes(), stream_);
}

void DeviceProgram::gate(std::span<const float> presence, std::uint8_t* device_labels) {
  std::byte* pinned_presence = small_on_host_.as<std::byte>() + layout_.presence;
  std::memcpy(pinned_presence, presence.data(), presence.size_bytes());
  cuda::upload(small<float>(layout_.presence), pinned_presence, presence.size_bytes(), stream_);
  marks_.rewind(results_mark_);
  enqueue_results();
  download(device_labels);
  cuda::check(cudaStreamSynchronize(stream_), "a run on the GPU");
}

void DeviceProgram::enqueue_ranges() {
  const auto [lower, upper] = stages_.manifest.percentiles;
  ops::percentile_range_cuda(image_.pixels(), lower, upper, range_workspace_.data(),
                             small<ops::IntensityRange>(layout_.ranges), stream_);
}

void DeviceProgram::enqueue_locator() {
  const Grid& grid = locator_->resampling.grid();
  const Grid& padded = locator_->padded;
  locator_->resampling.run(image_.pixels(), small<ops::IntensityRange>(layout_.ranges),
                           locator_->corners.as<ops::CropOrigin>(), padded, locator_->input.as<float>(), stream_);
  marks_.set("preprocess", stream_);
  locator_->execution->enqueue(stream_);
  ops::heart_centre_cuda(locator_->heart.as<float>(),
                         {stacks(), padded.slices, padded.rows, padded.columns, grid.rows, grid.columns},
                         crop_rules(stages_.manifest, *stages_.manifest.locate), locator_->workspace.data(),
                         origins_.as<ops::CropOrigin>(), stream_);
  marks_.set("locate", stream_);
}

void DeviceProgram::enqueue_crop() {
  fine_.run(image_.pixels(), small<ops::IntensityRange>(layout_.ranges), origins_.as<ops::CropOrigin>(), crop_,
            crops_.as<float>(), stream_);
  marks_.set("preprocess", stream_);
}

void DeviceProgram::enqueue_fusion() {
  cuda::fill(small<std::byte>(layout_.label_counts), 0, layout_.bytes - layout_.label_counts, stream_);
  const Manifest& manifest = stages_.manifest;
  ops::mask_fusion_cuda({.type = ops::ScalarType::float32,
                         .logits = ref_ ? ref_logits_.data() : seg_logits_.data(),
                         .presence = stages_.classify() ? small<float>(layout_.presence) : nullptr,
                         .origins = origins_.as<ops::CropOrigin>(),
                         .stacks = stacks()},
                        {manifest.presence_threshold, manifest.temperature}, fusion_geometry(key_, manifest),
                        {.labels = labels_.as<std::uint8_t>(),
                         .probabilities = probabilities_.as<float>(),
                         .counts = small<std::int32_t>(layout_.label_counts)},
                        stream_);
  marks_.set("fusion", stream_);
}

void DeviceProgram::enqueue_clean_up() {
  ops::clean_up_cuda(labels_.as<std::uint8_t>(), all_slices(), key_.shape.rows, key_.shape.columns,
                     clean_up_workspace_.data(), stream_);
  marks_.set("clean_up", stream_);
}

void DeviceProgram::enqueue_agreement() {
  ops::stage_counts_cuda(seg_logits_.as<float>(), ref_logits_.as<float>(),
                         stages_.classify() ? small<float>(layout_.presence) : nullptr,
                         stages_.manifest.presence_threshold, {stacks(), crop_.slices, crop_.rows, crop_.columns},
                         small<ops::LabelCounts>(layout_.stage_counts), stream_);
  marks_.set("agreement", stream_);
}

void DeviceProgram::download(std::uint8_t* device_labels) {
  if (device_labels != nullptr) {
    cuda::copy(device_labels, labels_.data(), labels_.bytes(), stream_);
  } else {
    cuda::download(labels_on_host_.data(), labels_.data(), labels_.bytes(), stream_);
  }
  if (key_.probabilities) {
    cuda::download(probabilities_on_host_.data(), probabilities_.data(), probabilities_.bytes(), stream_);
  }
}

template <class T>
std::span<const T> DeviceProgram::pinned(std::size_t offset, std::int64_t count) const {
  return {reinterpret_cast<const T*>(small_on_host_.as<std::byte>() + offset), static_cast<std::size_t>(count)};
}

ProgramResults DeviceProgram::results() const {
  return {.ranges = pinned<ops::IntensityRange>(layout_.ranges, stacks()),
          .presence = pinned<float>(layout_.presence, stages_.classify() ? kStructureCount * all_slices() : 0),
          .label_counts = pinned<std::int32_t>(layout_.label_counts, kLabelCount * all_slices()),
          .stage_counts = pinned<ops::LabelCounts>(layout_.stage_counts, ref_ ? stacks() : 0),
          .labels = {labels_on_host_.as<std::uint8_t>(), labels_on_host_.bytes()},
          .probabilities = {probabilities_on_host_.as<float>(), probabilities_on_host_.bytes() / sizeof(float)}};
}

void DeviceProgram::add_times(StageClock& clock) const {
  clock.add("upload", static_cast<double>(marks_.first().since(start_)));
  marks_.add_to(clock);
  clock.add("download", static_cast<double>(end_.since(marks_.last())));
}

}  // namespace cardiacseg
