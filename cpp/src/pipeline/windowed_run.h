#pragma once

#include <cstdint>
#include <future>
#include <optional>
#include <span>
#include <vector>

#include "cardiacseg/options.h"
#include "cardiacseg/segmentation.h"
#include "cardiacseg/views.h"
#include "ops/resample_taps.h"
#include "ops/windows.h"
#include "ops/z_score.h"
#include "pipeline/networks.h"
#include "pipeline/stage_clock.h"

namespace cardiacseg {

/// A run on the host with a network that sees windows of a slice (Manifest::windows), frame by frame: the box of voxels
/// that are not 0, mean and standard deviation, resampling, windows, logits back on the box, the largest one's label.
class WindowedRun {
 public:
  /// All must outlive it. `result` has its final size; its report's stages are filled.
  WindowedRun(const Networks& networks, const CineView& cine, const RunOptions& options, int threads,
              Segmentation& result);

  /// Throws Error(cancelled), and what networks throw.
  void run(StageClock& clock);

 private:
  /// From a box to the network's grid and back.
  struct Grids {
    ops::StackBox box;
    ops::ResampleTaps rows;
    ops::ResampleTaps columns;
    ops::ResampleTaps back_rows;
    ops::ResampleTaps back_columns;
    ops::WindowAxis down;
    ops::WindowAxis across;

    std::size_t padded_plane() const { return static_cast<std::size_t>(down.padded * across.padded); }
    /// Where row `row` of the resampled plane begins in a padded plane.
    std::size_t in_padded_plane(std::int64_t row) const {
      return static_cast<std::size_t>((down.before + row) * across.padded + across.before);
    }
    std::size_t plane() const { return static_cast<std::size_t>(rows.outputs * columns.outputs); }
  };

  void run_frame(std::int64_t frame, StageClock& clock);
  void place(const ops::StackBox& box);
  std::vector<float> preprocess(std::int64_t frame);
  void resample(std::span<const float> voxels, std::span<float> padded) const;
  std::vector<float> infer(std::span<const float> padded) const;
  void add_window(std::span<const float> plane, std::size_t down, std::size_t across, std::span<float> logits) const;
  void label(std::int64_t frame, std::span<const float> logits);
  void label_slice(std::int64_t slice, std::span<const float> logits);
  void keep_largest_component(std::int64_t frame);

  const WindowRules& rules_;
  const Networks& networks_;
  const CineView& cine_;
  const RunOptions& options_;
  int threads_;
  Segmentation& result_;
  std::optional<Grids> grids_;
  std::future<void> ahead_;  ///< what prepares the network meanwhile
};

}  // namespace cardiacseg
