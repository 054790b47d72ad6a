#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "cardiacseg/labels.h"

namespace cardiacseg {

/// Difference between a network and its reference (the same network on the CPU in fp32), over all common inputs.
struct StageParity {
  std::string stage;      ///< "locate", "seg" or "ref"; "pipeline": labels of whole runs on a GPU
  std::string precision;  ///< of the compared network: "fp16" or "fp32" on a GPU, "bf16" on the CPU
  bool passed = false;
  std::string verdict;  ///< one phrase: the deciding numbers; if it failed, also what was expected

  std::int64_t unwritten = 0;     ///< output elements that are not finite or were never written
  double largest_difference = 0;  ///< of its logits; 0 for the locator, which has none

  /// Largest difference of its probabilities: presence, or the locator's map. 0 if it has none.
  double probability_difference = 0;

  std::int64_t voxels = 0;     ///< voxels that have a label in both
  std::int64_t differing = 0;  ///< voxels whose labels differ
  double largest_gap = 0;      ///< of differing voxels: between the two largest logits of the reference
  std::array<double, kStructureCount> dice{1, 1, 1};  ///< of RV, MYO and LV
};

/// The parity gate: in 32 bits, logits and probabilities within 1e-3; in 16 bits, Dice of the labels at least 0.999 for
/// each structure of which more than 4 voxels differ, at most 0.05 % of voxels with another label and each of them with
/// a gap below 0.05 between its two largest logits, probabilities within 0.02. In both cases every element is written
/// and finite. If all networks pass on a GPU, the frames go through its whole pipeline twice, enqueued and replayed
/// as graphs: Dice of the labels at least 0.98, at most 0.5 % of voxels with another label.
struct Parity {
  bool passed = false;
  std::vector<StageParity> stages;
  std::string summary;  ///< one sentence
};

}  // namespace cardiacseg
