#pragma once

#include <cstdint>
#include <future>
#include <optional>
#include <span>
#include <vector>

#include "bundle/bundle.h"
#include "cardiacseg/segmentation.h"
#include "cardiacseg/views.h"
#include "ops/crop.h"
#include "ops/intensity_range.h"
#include "pipeline/grid.h"
#include "pipeline/locate_stage.h"
#include "pipeline/preprocess.h"
#include "pipeline/segmentation_stage.h"
#include "pipeline/stage_clock.h"
#include "pipeline/temporal_presence.h"

namespace cardiacseg {

/// The loaded networks and the manifest's numbers.
struct Stages {
  Manifest manifest;
  std::optional<LocateStage> locate;  ///< absent: the crop is the middle of the image
  SegmentationStage seg;
  std::optional<SegmentationStage> ref;  ///< absent: a single-stage model
  int threads;                           ///< of the operations; 0: all cores

  /// Whether presence comes from a classifier; if both stages have one, from Ref's.
  bool classify() const { return seg.classifies() || (ref && ref->classifies()); }
};

/// Working memory of frames that go through the networks together, used anew for each group of a cine.
class FrameGroup {
 public:
  /// `stages` must outlive the group and `cine`'s memory must too; `frames` is the most that `run` is given at once.
  /// The networks ask `keep_going`.
  FrameGroup(const Stages& stages, const CineView& cine, std::int64_t frames, KeepGoing keep_going);

  /// Fills what `result` says of `count` frames from frame `first`; its arrays have their final size. If presence is
  /// decided already, that of `result` stays and gates the labels.
  void run(std::int64_t first, std::int64_t count, Gating gating, Segmentation& result, StageClock& clock);

 private:
  void prepare_ahead(std::int64_t frames);
  void preprocess(std::int64_t first, std::int64_t count);
  void crop(std::int64_t first, std::int64_t count);
  void run_seg(std::int64_t count, std::span<float> presence);
  void run_ref(std::int64_t count, std::span<float> presence);
  void finish(std::int64_t index, std::int64_t frame, Segmentation& result, StageClock& clock) const;
  std::vector<std::int64_t> network_shape(std::int64_t count, std::int64_t channels) const;

  const Stages& stages_;
  CineView cine_;
  KeepGoing keep_going_;
  Grid crop_;  ///< of one frame
  Resampling fine_;
  std::optional<Resampling> coarse_;
  std::optional<LocateStage::Buffers> locate_buffers_;
  std::vector<ops::IntensityRange> ranges_;
  std::vector<ops::CropOrigin> origins_;
  std::vector<float> presence_;  ///< the classifier's
  std::vector<float> crops_;
  std::vector<float> seg_logits_;
  std::vector<float> ref_logits_;
  std::vector<std::future<void>> ahead_;  ///< what prepares the networks meanwhile
};

}  // namespace cardiacseg
