#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "backends/backend.h"
#include "bundle/bundle.h"
#include "cardiacseg/parity.h"
#include "cardiacseg/segmentation.h"
#include "cardiacseg/views.h"

namespace cardiacseg {

/// Outputs of a stage's network for the same stacks, in float32.
struct StageOutputs {
  std::span<const float> logits;         ///< `[slices, 4, rows, columns]`; nothing of a locator
  std::span<const float> probabilities;  ///< presence `[slices, 3]`, a locator's map, or nothing
};

/// Counts the voxels of each label in two label maps.
class LabelOverlap {
 public:
  void add(std::size_t reference, std::size_t found) {
    ++in_either_[reference];
    ++in_either_[found];
    if (reference == found) ++in_both_[found];
  }

  /// Voxels that have the label in one of the two alone.
  std::int64_t differing(std::size_t label) const { return in_either_[label] - 2 * in_both_[label]; }

  /// Sets the voxels, those that differ, and Dice of each structure: 1 if neither map has it.
  void write(StageParity& sums) const;

 private:
  std::array<std::int64_t, kLabelCount> in_either_{};  // of one map and of the other
  std::array<std::int64_t, kLabelCount> in_both_{};    // at the same place
};

/// Compares a network with the reference, stacks after stacks.
class StageComparison {
 public:
  /// `threshold` is that of presence: labels are compared in slices with an open gate in the reference.
  StageComparison(std::string stage, Precision precision, float threshold)
      : stage_(std::move(stage)), precision_(precision), threshold_(threshold) {}

  /// Adds `slices` slices. What is missing in `found` is NaN there.
  void add(const StageOutputs& reference, const StageOutputs& found, std::int64_t slices);

  /// What the gate of cardiacseg/parity.h says of all that was added.
  StageParity result() const;

 private:
  void add_slice(const float* reference, const float* found, const float* presence, std::int64_t slice,
                 std::size_t pixels);
  std::vector<std::string> failures(const StageParity& sums) const;

  std::string stage_;
  Precision precision_;
  float threshold_;
  StageParity sums_;
  LabelOverlap overlap_;
};

/// What the gate says of the labels of whole runs, each against `reference`, as stage "pipeline": if the locator's
/// map differs in its last bits a crop may lie one pixel elsewhere, so that less is asked than of a network.
StageParity compare_labels(std::span<const std::uint8_t> reference, const std::vector<std::vector<std::uint8_t>>& runs,
                           Precision precision);

/// All stages' results in one. `networks` and `reference` are how the summary calls what was compared.
Parity join(std::vector<StageParity> stages, const std::string& networks, const std::string& reference);

/// A network that the gate compares with that of `stage`, "locate", "seg" or "ref", in the reference.
struct TestedNetwork {
  std::string stage;
  const Network& network;
  Precision precision;
};

/// What the gate found of each network, and the reference's own segmentation.
struct NetworksParity {
  std::vector<StageParity> stages;
  Segmentation reference;
};

/// Puts `tested` through the parity gate: each network gets what its stage of the pipeline on the CPU gets for `cine`,
/// which lies in host memory, and its outputs are compared with those of the networks that `reference` loads from
/// `bundle`, stage by stage. Batches are of at most `most` frames. Throws Error.
NetworksParity check_parity(const Bundle& bundle, const Backend& reference, const std::vector<TestedNetwork>& tested,
                            std::int64_t most, const CineView& cine, int threads);

/// The gate for the networks of `bundle` in bfloat16 on the CPU. Throws Error.
Parity check_host_parity(const Bundle& bundle, const MakeHostBackend& make, const CineView& cine, int threads);

}  // namespace cardiacseg
