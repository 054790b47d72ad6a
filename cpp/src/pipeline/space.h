#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "backends/backend.h"
#include "cardiacseg/views.h"
#include "ops/crop.h"
#include "ops/heart_localization_geometry.h"
#include "ops/intensity_range.h"
#include "ops/label_counts.h"
#include "ops/mask_fusion_geometry.h"
#include "ops/pixels.h"
#include "ops/resample_taps.h"
#include "pipeline/stage_clock.h"

namespace cardiacseg::cuda {
class MemoryPool;
}

namespace cardiacseg {

/// Extent of one stack: `[slices, rows, columns]`.
struct Grid {
  std::int64_t slices;
  std::int64_t rows;
  std::int64_t columns;

  constexpr std::int64_t voxels() const { return slices * rows * columns; }
};

/// An array in a space's memory.
template <class T>
struct Array {
  std::shared_ptr<void> memory;
  std::size_t count = 0;

  T* data() const { return static_cast<T*>(memory.get()); }
  std::size_t bytes() const { return count * sizeof(T); }
};

/// An array of results, and the memory in which the host reads it: the same or, for a GPU, pinned memory.
template <class T>
struct Output : Array<T> {
  std::shared_ptr<void> mirror;

  std::span<T> on_host() const { return {static_cast<T*>(mirror.get()), this->count}; }
};

/// How an axis is resampled: the taps, and their arrays in a space's memory.
struct Axis {
  ops::ResampleTaps taps;
  std::shared_ptr<void> first;
  std::shared_ptr<void> count;
  std::shared_ptr<void> weights;
};

/// How every plane of a cine is resampled.
struct Resampling {
  Axis rows;
  Axis columns;
};

/// Room for the frames of a batch, and pinned memory on the way there. Nothing if frames are read in place.
struct Image {
  std::shared_ptr<void> pixels;
  std::shared_ptr<void> staging;
};

/// Stacks of logits and what they are fused with; pointers into a space's memory.
struct FusionInputs {
  const float* logits;             ///< `[stacks * slices, 4, crop_rows, crop_columns]`
  const float* presence;           ///< `[stacks * slices, 3]`, or nullptr: no gate
  const ops::CropOrigin* origins;  ///< `[stacks]`
  std::int64_t stacks;
};

struct FusionTargets {
  std::uint8_t* labels;
  float* probabilities;  ///< or nullptr: not requested
  std::int32_t* counts;  ///< the same; the voxels of each label in each slice are added
};

/// Work that was recorded once and is launched as one unit.
class Replay {
 public:
  virtual ~Replay() = default;
  virtual void launch() = 0;
};

/// The place of a pipeline's work: the host, or a stream of a GPU. Work is done in the order of the calls, at once or
/// later; `wait` waits for it. Pointers are into the space's memory unless said otherwise. For one thread at a time.
class Space : public MarkSource {
 public:
  virtual MemorySpace memory() const = 0;
  virtual ops::DeviceStream stream() const = 0;  ///< nullptr on the host

  /// Waits for all work. Throws, also for what went wrong in it.
  virtual void wait() = 0;

  // Memory. Blocks are aligned to 256 bytes and must be freed before the space. All throw if memory is short.

  virtual std::shared_ptr<void> allocate(std::size_t bytes) = 0;

  /// Memory as large as `block` that the host reads and writes; `block` itself if the host can.
  virtual std::shared_ptr<void> mirror(const std::shared_ptr<void>& block, std::size_t bytes) = 0;

  /// A copy of `values` in the space's memory. The values must stay unchanged as long as the copy lives.
  virtual std::shared_ptr<void> constant(const void* values, std::size_t bytes) = 0;

  virtual void fill_zero(void* to, std::size_t bytes) = 0;
  virtual void copy(void* to, const void* from, std::size_t bytes) = 0;

  /// From a mirror, and to it; nothing if the mirror is the block.
  virtual void upload(void* to, const void* mirror, std::size_t bytes) = 0;
  virtual void download(void* mirror, const void* from, std::size_t bytes) = 0;

  virtual Image make_image(const CineShape& shape, PixelType type) = 0;

  /// `count` frames of `cine` from `first` on, in memory that the operations read.
  virtual ops::Pixels load(const CineView& cine, std::int64_t first, std::int64_t count, const Image& image) = 0;

  // Networks and graphs.

  /// Sets up a network of this space for inputs of `shape`; with `ahead`, what its first run would wait for starts now
  /// in another thread.
  virtual std::unique_ptr<DeviceExecution> prepare(const Network& network, const std::vector<std::int64_t>& shape,
                                                   bool ahead) = 0;

  /// Records the work that `enqueue` gives this space, without doing it. nullptr if the space has no graphs.
  virtual std::unique_ptr<Replay> capture(const std::function<void()>& enqueue) = 0;

  // Operations, as ops/ has them. Workspaces are in bytes; that of the ranges is 0 before its first use.

  virtual std::size_t range_workspace(PixelType type, std::int64_t stacks, std::int64_t voxels) const = 0;
  virtual std::size_t heart_workspace(std::int64_t stacks, const Grid& grid) const = 0;
  virtual std::size_t keep_largest_component_workspace(std::int64_t slices, std::int64_t rows,
                                                       std::int64_t columns) const = 0;

  virtual void percentile_range(const ops::Pixels& stacks, const std::array<double, 2>& percentiles, void* workspace,
                                ops::IntensityRange* ranges) = 0;
  virtual void preprocess(const ops::Pixels& stacks, const Resampling& resampling, const ops::IntensityRange* ranges,
                          const ops::CropOrigin* origins, const Grid& crop, float* output) = 0;
  virtual void heart_localization(const float* heart, const ops::HeartMaps& maps,
                                  const ops::HeartLocalizationRules& rules, void* workspace,
                                  ops::CropOrigin* origins) = 0;
  virtual void mask_fusion(const FusionInputs& inputs, const ops::FusionRules& rules,
                           const ops::FusionGeometry& geometry, const FusionTargets& targets) = 0;
  virtual void keep_largest_component(std::uint8_t* labels, std::int64_t slices, std::int64_t rows,
                                      std::int64_t columns, void* workspace) = 0;
  virtual void stage_counts(const float* seg, const float* ref, const float* presence, float threshold,
                            const ops::StageShape& shape, ops::LabelCounts* counts) = 0;
};

/// The host: work is done at once, by at most `threads` threads (0: all cores). Networks ask `keep_going`.
std::unique_ptr<Space> make_host_space(int threads, KeepGoing keep_going);

/// A stream of the GPU that its thread uses, with memory of `pool`; at most `threads` threads of the host copy pixels
/// to contiguous memory for it. Throws cuda::CudaError, as all that it does.
std::unique_ptr<Space> make_device_space(std::shared_ptr<const cuda::MemoryPool> pool, int threads);

}  // namespace cardiacseg
