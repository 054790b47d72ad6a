#pragma once

#include <memory>
#include <span>
#include <vector>

#include "backends/backend.h"
#include "bundle/bundle.h"
#include "pipeline/grid.h"
#include "pipeline/heart_centre.h"
#include "pipeline/part.h"

namespace cardiacseg {

/// Finds the heart in the coarse, whole field of view.
class LocateStage {
 public:
  /// `window` is the side of Seg's crop in the locator's pixels.
  LocateStage(const LocateRules& rules, std::int64_t window, std::unique_ptr<Network> network);

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

  /// Centre of the heart, in coarse pixels, of each stack in `buffers`; `centres` is as long as there are.
  void run(Buffers& buffers, std::span<PlanePoint> centres) const;

 private:
  LocateRules rules_;
  std::int64_t window_;
  std::unique_ptr<Network> network_;
};

}  // namespace cardiacseg
