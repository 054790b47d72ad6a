#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "cardiacseg/views.h"
#include "cuda/buffer.h"
#include "cuda/graph.h"
#include "ops/label_counts.h"
#include "pipeline/device_image.h"
#include "pipeline/device_marks.h"
#include "pipeline/device_resampling.h"
#include "pipeline/device_stages.h"
#include "pipeline/stage_clock.h"

namespace cardiacseg {

/// What a program is made for.
struct ProgramKey {
  CineShape shape;  ///< of the frames that go through together
  Spacing spacing;
  PixelType type;
  bool probabilities;  ///< whether they are wanted

  bool operator==(const ProgramKey& other) const;
};

/// What a program leaves in pinned memory, for all its frames; C order, the frames first.
struct ProgramResults {
  std::span<const ops::IntensityRange> ranges;     ///< one for each frame
  std::span<const float> presence;                 ///< `[slices, 3]`; nothing without a classifier
  std::span<const std::int32_t> label_counts;      ///< `[slices, 4]`, before the clean-up
  std::span<const ops::LabelCounts> stage_counts;  ///< one for each frame; nothing for a single-stage model
  std::span<const std::uint8_t> labels;            ///< `[slices, rows, columns]`, unless they went to device memory
  std::span<const float> probabilities;            ///< `[slices, 4, rows, columns]`, or nothing
};

/// Everything between an image's upload and its labels for one kind of frame group: all memory, the networks set up for
/// it, and once it has run, its CUDA graph. For one thread at a time.
class DeviceProgram {
 public:
  /// `stages` and `stream` must outlive it. Throws cuda::CudaError, Error(backend).
  DeviceProgram(const DeviceStages& stages, const ProgramKey& key, cudaStream_t stream);
  DeviceProgram(const DeviceProgram&) = delete;
  DeviceProgram& operator=(const DeviceProgram&) = delete;

  const ProgramKey& key() const { return key_; }

  /// Runs frames of `cine` from `first` on and waits; nothing but the first run allocates. The labels go to
  /// `device_labels`, or where that is nullptr to the results. Throws cuda::CudaError, Error(backend).
  void run(const CineView& cine, std::int64_t first, int threads, std::uint8_t* device_labels);

  /// Labels the frames of the last run anew, gated by `presence` of all their slices in the place of the classifier's,
  /// and waits. Throws cuda::CudaError.
  void gate(std::span<const float> presence, std::uint8_t* device_labels);

  /// Of the last run.
  ProgramResults results() const;
  void add_times(StageClock& clock) const;

 private:
  /// The locator's part: the whole field of view, coarse.
  struct Locator {
    Locator(const DeviceStages& stages, const ProgramKey& key, cudaStream_t stream);

    DeviceResampling resampling;
    Grid padded;
    cuda::DeviceBuffer corners;
    cuda::DeviceBuffer input;
    cuda::DeviceBuffer heart;
    cuda::DeviceBuffer workspace;
    std::unique_ptr<DeviceExecution> execution;
  };

  /// Results that are small, one after another; in device memory and again in pinned memory.
  struct SmallLayout {
    SmallLayout(const DeviceStages& stages, const ProgramKey& key);

    std::size_t ranges = 0;
    std::size_t presence;
    std::size_t label_counts;
    std::size_t stage_counts;
    std::size_t bytes;
  };

  void set_origins();
  void bind();
  std::unique_ptr<DeviceExecution> prepare(const DeviceNetwork& network, std::int64_t channels) const;
  void enqueue();
  void enqueue_ranges();
  void enqueue_locator();
  void enqueue_crop();
  void enqueue_results();
  void enqueue_fusion();
  void enqueue_clean_up();
  void enqueue_agreement();
  void download(std::uint8_t* device_labels);
  void try_capture();

  std::int64_t stacks() const { return key_.shape.frames; }
  std::int64_t all_slices() const { return key_.shape.frames * key_.shape.slices; }
  template <class T>
  T* small(std::size_t offset) const;
  template <class T>
  std::span<const T> pinned(std::size_t offset, std::int64_t count) const;

  const DeviceStages& stages_;
  ProgramKey key_;
  cudaStream_t stream_;
  Grid crop_;  ///< of one frame
  DeviceImage image_;
  DeviceResampling fine_;
  std::optional<Locator> locator_;
  SmallLayout layout_;
  cuda::DeviceBuffer small_;
  cuda::PinnedBuffer small_on_host_;
  cuda::DeviceBuffer range_workspace_;
  cuda::DeviceBuffer origins_;
  cuda::DeviceBuffer crops_;
  cuda::DeviceBuffer seg_logits_;
  cuda::DeviceBuffer ref_logits_;
  cuda::DeviceBuffer labels_;
  cuda::DeviceBuffer clean_up_workspace_;
  cuda::DeviceBuffer probabilities_;
  cuda::PinnedBuffer labels_on_host_;
  cuda::PinnedBuffer probabilities_on_host_;
  std::unique_ptr<DeviceExecution> seg_;
  std::unique_ptr<DeviceExecution> ref_;
  cuda::DeviceBuffer scratch_;  ///< of all networks, which run one after another
  cuda::Event start_;
  cuda::Event end_;
  DeviceMarks marks_;
  std::size_t results_mark_ = 0;  ///< the first after the networks'
  std::optional<cuda::Graph> graph_;
  bool ran_ = false;
};

}  // namespace cardiacseg
