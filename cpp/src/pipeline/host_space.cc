#include <chrono>
#include <cstring>
#include <future>
#include <new>
#include <span>
#include <utility>

#include "cardiacseg/labels.h"
#include "ops/heart_localization.h"
#include "ops/keep_largest_component.h"
#include "ops/mask_fusion.h"
#include "ops/percentile_range.h"
#include "ops/preprocess.h"
#include "ops/stage_counts.h"
#include "pipeline/cine_pixels.h"
#include "pipeline/space.h"

namespace cardiacseg {
namespace {

constexpr std::align_val_t kAlignment{256};

template <class T>
std::span<T> span_of(T* values, std::int64_t count) {
  return {values, values == nullptr ? 0 : static_cast<std::size_t>(count)};
}

class HostMark : public Mark {
 public:
  void set() override { time_ = std::chrono::steady_clock::now(); }
  double since(const Mark& start) const override {
    const auto begin = static_cast<const HostMark&>(start).time_;
    return std::chrono::duration<double, std::milli>(time_ - begin).count();
  }

 private:
  std::chrono::steady_clock::time_point time_;
};

/// A network whose stream is the caller's thread.
class HostExecution : public DeviceExecution {
 public:
  HostExecution(const Network& network, std::vector<std::int64_t> shape, bool ahead, const KeepGoing& keep_going)
      : network_(network), shape_(std::move(shape)), keep_going_(keep_going) {
    if (ahead) ahead_ = network.prepare_ahead(shape_);
  }

  std::size_t scratch_bytes() const override { return 0; }
  bool capturable(ops::DeviceStream) const override { return false; }

  void bind(const float* input, std::span<float* const> outputs, void*) override {
    const auto [frames, slices, channels, rows, columns] =
        std::array{shape_.at(0), shape_.at(1), shape_.at(2), shape_.at(3), shape_.at(4)};
    input_ = {span_of(input, frames * slices * channels * rows * columns), shape_};
    outputs_.clear();
    for (std::size_t index = 0; index < outputs.size(); ++index) {
      const std::string& name = network_.outputs()[index];
      std::vector<std::int64_t> shape = shape_;
      if (name == "logits") shape[2] = kLabelCount;
      if (name == "presence") shape = {frames, slices, kStructureCount};
      std::int64_t count = 1;
      for (const std::int64_t extent : shape) count *= extent;
      outputs_.push_back({span_of(outputs[index], count), std::move(shape)});
    }
  }

  void enqueue(ops::DeviceStream) override { network_.run(input_, outputs_, keep_going_); }

 private:
  const Network& network_;
  std::vector<std::int64_t> shape_;
  const KeepGoing& keep_going_;
  TensorView input_;
  std::vector<MutableTensorView> outputs_;
  std::future<void> ahead_;  ///< what prepares the network meanwhile
};

class HostSpace : public Space {
 public:
  HostSpace(int threads, KeepGoing keep_going) : threads_(threads), keep_going_(std::move(keep_going)) {}

  MemorySpace memory() const override { return MemorySpace::host; }
  ops::DeviceStream stream() const override { return nullptr; }
  void wait() override {}

  std::shared_ptr<void> allocate(std::size_t bytes) override {
    if (bytes == 0) return nullptr;
    return {::operator new(bytes, kAlignment), [](void* block) { ::operator delete(block, kAlignment); }};
  }
  std::shared_ptr<void> mirror(const std::shared_ptr<void>& block, std::size_t) override { return block; }
  std::shared_ptr<void> constant(const void* values, std::size_t bytes) override {
    std::shared_ptr<void> block = allocate(bytes);
    copy(block.get(), values, bytes);
    return block;
  }
  void fill_zero(void* to, std::size_t bytes) override {
    if (bytes > 0) std::memset(to, 0, bytes);
  }
  void copy(void* to, const void* from, std::size_t bytes) override {
    if (bytes > 0) std::memcpy(to, from, bytes);
  }
  void upload(void*, const void*, std::size_t) override {}
  void download(void*, const void*, std::size_t) override {}

  Image make_image(const CineShape&, PixelType) override { return {}; }
  ops::Pixels load(const CineView& cine, std::int64_t first, std::int64_t count, const Image&) override {
    return pixels_of(cine, first, count);
  }

  std::unique_ptr<DeviceExecution> prepare(const Network& network, const std::vector<std::int64_t>& shape,
                                           bool ahead) override {
    return std::make_unique<HostExecution>(network, shape, ahead && threads_ != 1, keep_going_);
  }
  std::unique_ptr<Mark> make_mark() override { return std::make_unique<HostMark>(); }
  std::unique_ptr<Replay> capture(const std::function<void()>&) override { return nullptr; }

  std::size_t range_workspace(PixelType, std::int64_t, std::int64_t) const override { return 0; }
  std::size_t heart_workspace(std::int64_t, const Grid&) const override { return 0; }
  std::size_t keep_largest_component_workspace(std::int64_t, std::int64_t, std::int64_t) const override { return 0; }

  void percentile_range(const ops::Pixels& stacks, const std::array<double, 2>& percentiles, void*,
                        ops::IntensityRange* ranges) override {
    ops::percentile_range(stacks, percentiles[0], percentiles[1], threads_, span_of(ranges, stacks.stacks));
  }

  void preprocess(const ops::Pixels& stacks, const Resampling& resampling, const ops::IntensityRange* ranges,
                  const ops::CropOrigin* origins, const Grid& crop, float* output) override {
    ops::preprocess(stacks, {resampling.rows.taps, resampling.columns.taps, crop.rows, crop.columns},
                    span_of(ranges, stacks.stacks), span_of(origins, stacks.stacks), threads_,
                    span_of(output, stacks.stacks * crop.voxels()));
  }

  void heart_localization(const float* heart, const ops::HeartMaps& maps, const ops::HeartLocalizationRules& rules,
                          void*, ops::CropOrigin* origins) override {
    ops::heart_localization(span_of(heart, maps.stacks * maps.slices * maps.padded_plane()), maps, rules,
                            span_of(origins, maps.stacks));
  }

  void mask_fusion(const FusionInputs& inputs, const ops::FusionRules& rules, const ops::FusionGeometry& geometry,
                   const FusionTargets& targets) override {
    const std::int64_t slices = inputs.stacks * geometry.slices;
    const std::int64_t voxels = slices * geometry.rows * geometry.columns;
    ops::mask_fusion(span_of(inputs.logits, kLabelCount * slices * geometry.crop_rows * geometry.crop_columns),
                     span_of(inputs.presence, kStructureCount * slices), span_of(inputs.origins, inputs.stacks), rules,
                     geometry,
                     {.labels = span_of(targets.labels, voxels),
                      .probabilities = span_of(targets.probabilities, kLabelCount * voxels),
                      .counts = span_of(targets.counts, kLabelCount * slices)},
                     threads_);
  }

  void keep_largest_component(std::uint8_t* labels, std::int64_t slices, std::int64_t rows, std::int64_t columns,
                              void*) override {
    ops::keep_largest_component(span_of(labels, slices * rows * columns), slices, rows, columns, threads_);
  }

  void stage_counts(const float* seg, const float* ref, const float* presence, float threshold,
                    const ops::StageShape& shape, ops::LabelCounts* counts) override {
    const std::int64_t slices = shape.stacks * shape.slices;
    const std::int64_t logits = kLabelCount * slices * shape.rows * shape.columns;
    ops::stage_counts(span_of(seg, logits), span_of(ref, logits), span_of(presence, kStructureCount * slices),
                      threshold, shape, span_of(counts, shape.stacks), threads_);
  }

 private:
  int threads_;
  KeepGoing keep_going_;
};

}  // namespace

std::unique_ptr<Space> make_host_space(int threads, KeepGoing keep_going) {
  return std::make_unique<HostSpace>(threads, std::move(keep_going));
}

}  // namespace cardiacseg
