#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cardiacseg/views.h"
#include "ops/label_counts.h"
#include "pipeline/networks.h"
#include "pipeline/space.h"
#include "pipeline/stage_clock.h"

namespace cardiacseg {

/// What a plan is made for.
struct BatchKind {
  CineShape shape;  ///< of the frames that go through the networks together
  Spacing spacing;
  PixelType type;
  bool probabilities;  ///< whether they are requested

  bool operator==(const BatchKind& other) const;
};

/// A plan's results in host memory, for all its frames; C order, the frames first.
struct BatchResults {
  std::span<const ops::IntensityRange> ranges;  ///< one for each frame
  std::span<const float> presence;              ///< `[slices, 3]`; nothing without a classifier
  std::span<const std::int32_t>
      label_counts;  ///< `[slices, 4]`, before keep_largest_component; nothing with a classifier
  std::span<const ops::LabelCounts> stage_counts;  ///< one for each frame; nothing for a single-stage model
  std::span<const std::uint8_t> labels;            ///< `[slices, rows, columns]`, unless they went to device memory
  std::span<const float> probabilities;            ///< `[slices, 4, rows, columns]`, or nothing
};

/// A copy of what the stages after the networks read, except presence.
struct KeptOutputs {
  std::vector<ops::CropOrigin> origins;
  std::vector<float> seg_logits;
  std::vector<float> ref_logits;
};

/// Everything between pixels and labels for one kind of frame batch, in one space: all memory, the networks set up for
/// it, and the order of the stages. If the space has graphs, what was enqueued once is replayed from then on. For
/// one thread at a time.
class ExecutionPlan {
 public:
  /// `networks` and `space` must outlive it. Throws what they throw.
  ExecutionPlan(const Networks& networks, const BatchKind& kind, Space& space);
  ExecutionPlan(const ExecutionPlan&) = delete;
  ExecutionPlan& operator=(const ExecutionPlan&) = delete;

  const BatchKind& kind() const { return kind_; }

  /// Bytes of the space's memory that it uses.
  std::size_t bytes() const { return bytes_; }

  /// Enqueues preprocessing and networks for the frames of `cine` from `first` on.
  void infer(const CineView& cine, std::int64_t first);

  /// Whether the networks' outputs for the frames from `first` on are still there.
  bool holds(std::int64_t first) const { return first_ == first; }

  /// Bytes of what `keep` copies; 0 in device memory, of which nothing can be kept.
  std::size_t output_bytes() const;

  /// A copy of the networks' outputs for the frames that they saw last.
  KeptOutputs keep() const;

  /// Puts back what was kept for the frames from `first` on. Their presence must follow: `gate`.
  void restore(const KeptOutputs& kept, std::int64_t first);

  /// Replaces the classifier's presence of all slices by `presence`.
  void gate(std::span<const float> presence);

  /// Enqueues the stages after the networks. The labels go to `device_labels`, or to the results if that is nullptr.
  void label(std::uint8_t* device_labels);

  /// Waits for all enqueued work and adds its times to `clock`; then records graphs for the segments that have none.
  void finish(StageClock& clock);

  /// Enqueues the intensity ranges alone, waits, and says whether every frame has one: finite pixels, not all equal.
  bool has_ranges(const CineView& cine, std::int64_t first);

  /// Results of the work that was finished last.
  BatchResults results() const {
    return {.ranges = ranges_.on_host(),
            .presence = presence_.on_host(),
            .label_counts = label_counts_.on_host(),
            .stage_counts = stage_counts_.on_host(),
            .labels = labels_.on_host(),
            .probabilities = probabilities_.on_host()};
  }

  /// Why the last `finish` ended work that was enqueued rather than replayed; empty if all was replayed.
  const std::string& why_enqueued() const { return why_enqueued_; }

  /// Whether work was enqueued and not finished, for example because something was thrown.
  bool pending() const { return pending_; }

 private:
  /// Buffers of the locator, which sees the whole field of view at a coarse spacing.
  struct Locator {
    Resampling resampling;
    Grid grid;
    Grid padded;
    Array<ops::CropOrigin> corners;
    Array<float> input;
    Array<float> heart;
    Array<std::byte> workspace;
    std::unique_ptr<DeviceExecution> execution;
  };

  /// Stages that follow each other without the host, and their graph. If recording one fails it is tried again
  /// after twice as many runs.
  struct Segment {
    void (ExecutionPlan::*enqueue)();
    Timeline timeline = {};
    std::unique_ptr<Replay> graph = nullptr;
    std::int64_t runs = 0;  ///< without a graph
    std::int64_t next_try = 1;
    std::string why_not = {};
  };

  template <class T>
  Array<T> array(std::int64_t count);
  template <class T>
  Output<T> output(std::int64_t count);
  Axis axis(std::int64_t length, double spacing, double target);
  Resampling resampling(double target);
  void make_locator();
  void place_origins();
  std::unique_ptr<DeviceExecution> prepare(const Network& network, std::int64_t channels);
  void bind_networks();
  void bind(DeviceExecution& execution, const Network& network, const float* input, float* output);

  void start(Segment& segment);
  void enqueue(Segment& segment);
  void record(Segment& segment);
  std::string why_not_capturable() const;
  void begin(Timeline& timeline);
  void end_stage(const char* stage);
  void enqueue_networks();
  void enqueue_ranges();
  void enqueue_locator();
  void enqueue_crop();
  void enqueue_labels();
  void enqueue_fusion();
  void enqueue_keep_largest_component();
  void enqueue_agreement();
  template <class T>
  void download(const Output<T>& output);

  std::int64_t stacks() const { return kind_.shape.frames; }
  std::int64_t all_slices() const { return kind_.shape.frames * kind_.shape.slices; }

  const Networks& networks_;
  BatchKind kind_;
  Space& space_;
  std::size_t bytes_ = 0;
  Grid crop_;  ///< of one frame
  Image image_;
  ops::Pixels pixels_{};  ///< of the frames that are loaded
  Resampling fine_;
  std::vector<ops::CropOrigin> middle_;
  Array<ops::CropOrigin> origins_;
  std::optional<Locator> locator_;
  Output<ops::IntensityRange> ranges_;
  Output<float> presence_;
  Output<std::int32_t> label_counts_;
  Output<ops::LabelCounts> stage_counts_;
  Array<std::byte> range_workspace_;
  Array<float> crops_;
  Array<float> seg_logits_;
  Array<float> ref_logits_;
  Output<std::uint8_t> labels_;
  Array<std::byte> keep_largest_component_workspace_;
  Output<float> probabilities_;
  std::unique_ptr<DeviceExecution> seg_;
  std::unique_ptr<DeviceExecution> ref_;
  Array<std::byte> scratch_;  ///< of all networks, which run one after another
  Timeline upload_;
  Timeline download_;
  Segment before_labels_{.enqueue = &ExecutionPlan::enqueue_networks};
  Segment from_labels_{.enqueue = &ExecutionPlan::enqueue_labels};
  Timeline* timeline_ = nullptr;  ///< of the stages that are being enqueued
  std::vector<const Timeline*> to_add_;
  std::vector<Segment*> started_;
  std::int64_t first_ = -1;  ///< of the frames that the networks saw last
  std::string why_enqueued_;
  bool pending_ = false;
};

}  // namespace cardiacseg
