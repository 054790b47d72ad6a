#pragma once

#include <memory>
#include <span>
#include <vector>

#include "backends/backend.h"
#include "bundle/bundle.h"
#include "ops/heart_centre.h"
#include "pipeline/grid.h"
#include "pipeline/part.h"

namespace cardiacseg {

/// A locator's input for stacks of `grid`: padded below and on the right to what the network takes.
Grid padded_grid(const LocateRules& rules, const Grid& grid);

/// Finds the heart in the coarse, whole field of view.
class LocateStage {
 public:
  LocateStage(const LocateRules& rules, const ops::HeartCentreRules& crop, std::unique_ptr<Network> network);

  double spacing_mm() const { return rules_.spacing_mm; }

  /// Working memory for `frames` stacks of a coarse grid, which is padded below and on the right to what the network
  /// takes.
  class Buffers {
   public:
    Buffers(const LocateStage& stage, const Grid& coarse, std::int64_t frames);

    const Grid& padded() const { return padded_; }

    /// The network's input for `frames` stacks, for the caller to fill: normalised, 0 in the padding.
    std::span<float> input(std::int64_t frames) { return part(input_, 0, padded_.voxels(), frames); }

   private:
    friend class LocateStage;
    Grid coarse_;
    Grid padded_;
    std::vector<float> input_;
    std::vector<float> output_;
  };

  /// Where Seg's crop of each stack in `buffers` is to lie; `origins` is as long as there are.
  void run(Buffers& buffers, std::span<ops::CropOrigin> origins, const KeepGoing& keep_going) const;

 private:
  LocateRules rules_;
  ops::HeartCentreRules crop_;
  std::unique_ptr<Network> network_;
};

}  // namespace cardiacseg
