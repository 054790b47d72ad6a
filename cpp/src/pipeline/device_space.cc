#include <string>
#include <utility>

#include "cuda/buffer.h"
#include "cuda/copy.h"
#include "cuda/event.h"
#include "cuda/graph.h"
#include "cuda/memory_pool.h"
#include "cuda/stream.h"
#include "ops/heart_localization_cuda.h"
#include "ops/keep_largest_component_cuda.h"
#include "ops/mask_fusion_cuda.h"
#include "ops/percentile_range_cuda.h"
#include "ops/preprocess_cuda.h"
#include "ops/stage_counts_cuda.h"
#include "pipeline/cine_pixels.h"
#include "pipeline/space.h"

namespace cardiacseg {
namespace {

class EventMark : public Mark {
 public:
  explicit EventMark(cudaStream_t stream) : stream_(stream) {}

  void set() override { event_.record(stream_); }
  double since(const Mark& start) const override {
    return static_cast<double>(event_.since(static_cast<const EventMark&>(start).event_));
  }

 private:
  cudaStream_t stream_;
  cuda::Event event_;
};

class GraphReplay : public Replay {
 public:
  GraphReplay(cudaStream_t stream, const std::function<void()>& enqueue)
      : stream_(stream), graph_(cuda::Graph::capture(stream, enqueue)) {}

  void launch() override { graph_.launch(stream_); }

 private:
  cudaStream_t stream_;
  cuda::Graph graph_;
};

ops::DeviceTaps taps_of(const Axis& axis) {
  return {axis.taps.inputs, axis.taps.outputs, static_cast<const std::int32_t*>(axis.first.get()),
          static_cast<const std::int32_t*>(axis.count.get()), static_cast<const float*>(axis.weights.get())};
}

std::shared_ptr<void> pinned(std::size_t bytes) {
  auto buffer = std::make_shared<cuda::PinnedBuffer>(bytes);
  return {buffer, buffer->data()};
}

class DeviceSpace : public Space {
 public:
  DeviceSpace(std::shared_ptr<const cuda::MemoryPool> pool, int threads) : pool_(std::move(pool)), threads_(threads) {}

  MemorySpace memory() const override { return MemorySpace::device; }
  ops::DeviceStream stream() const override { return stream_.get(); }
  void wait() override { stream_.synchronize(); }

  std::shared_ptr<void> allocate(std::size_t bytes) override {
    if (bytes == 0) return nullptr;
    return {pool_->allocate(bytes, stream_.get()),
            [pool = pool_, stream = stream_.get()](void* memory) { pool->release(memory, stream); }};
  }
  std::shared_ptr<void> mirror(const std::shared_ptr<void>&, std::size_t bytes) override { return pinned(bytes); }
  std::shared_ptr<void> constant(const void* values, std::size_t bytes) override {
    std::shared_ptr<void> block = allocate(bytes);
    upload(block.get(), values, bytes);
    return block;
  }
  void fill_zero(void* to, std::size_t bytes) override {
    if (bytes > 0) cuda::fill(to, 0, bytes, stream_.get());
  }
  void copy(void* to, const void* from, std::size_t bytes) override {
    if (bytes > 0) cuda::copy(to, from, bytes, stream_.get());
  }
  void upload(void* to, const void* mirror, std::size_t bytes) override {
    if (bytes > 0) cuda::upload(to, mirror, bytes, stream_.get());
  }
  void download(void* mirror, const void* from, std::size_t bytes) override {
    if (bytes > 0) cuda::download(mirror, from, bytes, stream_.get());
  }

  Image make_image(const CineShape& shape, PixelType type) override {
    const std::size_t bytes = static_cast<std::size_t>(shape.voxels()) * size_of(type);
    return {.pixels = allocate(bytes), .staging = pinned(bytes)};
  }

  ops::Pixels load(const CineView& cine, std::int64_t first, std::int64_t count, const Image& image) override {
    const auto& [frames, slices, rows, columns] = cine.shape;
    const std::size_t bytes = static_cast<std::size_t>(count * slices * rows * columns) * size_of(cine.type);
    if (cine.memory == Memory::device) {
      copy(image.pixels.get(), static_cast<const std::byte*>(cine.data) + first * cine.strides[0], bytes);
    } else {
      copy_contiguous(cine, first, count, threads_, static_cast<std::byte*>(image.staging.get()));
      upload(image.pixels.get(), image.staging.get(), bytes);
    }
    return ops::contiguous_pixels(image.pixels.get(), cine.type, count, slices, rows, columns);
  }

  std::unique_ptr<DeviceExecution> prepare(const Network& network, const std::vector<std::int64_t>& shape,
                                           bool) override {
    return dynamic_cast<const DeviceNetwork&>(network).prepare(shape);
  }
  std::unique_ptr<Mark> make_mark() override { return std::make_unique<EventMark>(stream_.get()); }
  std::unique_ptr<Replay> capture(const std::function<void()>& enqueue) override {
    return std::make_unique<GraphReplay>(stream_.get(), enqueue);
  }

  std::size_t range_workspace(PixelType type, std::int64_t stacks, std::int64_t voxels) const override {
    return ops::percentile_range_workspace(type, stacks, voxels);
  }
  std::size_t heart_workspace(std::int64_t stacks, const Grid& grid) const override {
    return ops::heart_localization_workspace(stacks, grid.rows, grid.columns);
  }
  std::size_t keep_largest_component_workspace(std::int64_t slices, std::int64_t rows,
                                               std::int64_t columns) const override {
    return ops::keep_largest_component_workspace(slices, rows, columns);
  }

  void percentile_range(const ops::Pixels& stacks, const std::array<double, 2>& percentiles, void* workspace,
                        ops::IntensityRange* ranges) override {
    ops::percentile_range_cuda(stacks, percentiles[0], percentiles[1], workspace, ranges, stream_.get());
  }

  void preprocess(const ops::Pixels& stacks, const Resampling& resampling, const ops::IntensityRange* ranges,
                  const ops::CropOrigin* origins, const Grid& crop, float* output) override {
    ops::preprocess_cuda(stacks, {taps_of(resampling.rows), taps_of(resampling.columns), crop.rows, crop.columns},
                         ranges, origins, ops::ScalarType::float32, output, stream_.get());
  }

  void heart_localization(const float* heart, const ops::HeartMaps& maps, const ops::HeartLocalizationRules& rules,
                          void* workspace, ops::CropOrigin* origins) override {
    ops::heart_localization_cuda(heart, maps, rules, workspace, origins, stream_.get());
  }

  void mask_fusion(const FusionInputs& inputs, const ops::FusionRules& rules, const ops::FusionGeometry& geometry,
                   const FusionTargets& targets) override {
    ops::mask_fusion_cuda({ops::ScalarType::float32, inputs.logits, inputs.presence, inputs.origins, inputs.stacks},
                          rules, geometry, {targets.labels, targets.probabilities, targets.counts}, stream_.get());
  }

  void keep_largest_component(std::uint8_t* labels, std::int64_t slices, std::int64_t rows, std::int64_t columns,
                              void* workspace) override {
    ops::keep_largest_component_cuda(labels, slices, rows, columns, workspace, stream_.get());
  }

  void stage_counts(const float* seg, const float* ref, const float* presence, float threshold,
                    const ops::StageShape& shape, ops::LabelCounts* counts) override {
    ops::stage_counts_cuda(seg, ref, presence, threshold, shape, counts, stream_.get());
  }

 private:
  std::shared_ptr<const cuda::MemoryPool> pool_;
  int threads_;
  cuda::Stream stream_;
};

}  // namespace

std::unique_ptr<Space> make_device_space(std::shared_ptr<const cuda::MemoryPool> pool, int threads) {
  return std::make_unique<DeviceSpace>(std::move(pool), threads);
}

}  // namespace cardiacseg
