#pragma once

#include <memory>
#include <span>
#include <vector>

#include "backends/backend.h"
#include "bundle/bundle.h"
#include "pipeline/grid.h"
#include "pipeline/heart_centre.h"

namespace cardiacseg {

/// Finds the heart in the coarse, whole field of view.
class LocateStage {
 public:
  /// `window` is the side of Seg's crop in the locator's pixels.
  LocateStage(const LocateRules& rules, std::int64_t window, std::unique_ptr<Network> network);

  double spacing_mm() const { return rules_.spacing_mm; }

  /// Working memory for `frames` stacks of a coarse grid.
  class Buffers {
   public:
    Buffers(const LocateStage& stage, const Grid& coarse, std::int64_t frames);

   private:
    friend class LocateStage;
    Grid coarse_;
    Grid padded_;
    std::vector<float> input_;
    std::vector<float> output_;
    std::vector<float> heart_;
  };

  /// Centre of the heart, in coarse pixels, of each stack in `coarse`, normalised `[frames, slices, rows, columns]`;
  /// `frames` is the length of `centres`.
  void run(std::span<const float> coarse, Buffers& buffers, std::span<PlanePoint> centres) const;

 private:
  LocateRules rules_;
  std::int64_t window_;
  std::unique_ptr<Network> network_;
};

}  // namespace cardiacseg
