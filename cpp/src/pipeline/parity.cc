#include "pipeline/parity.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <utility>

#include "ops/presence_gate.h"
#include "text.h"

namespace cardiacseg {
namespace {

constexpr double kSmallestDice = 0.999;
/// Voxels of a structure that may differ whatever its Dice: of 1,000 two near ties are already too many for it.
constexpr std::int64_t kFewVoxels = 4;
constexpr double kLargestShare = 0.0005;
constexpr double kLargestGap = 0.05;
constexpr double kExact = 1e-3;        ///< of anything, in 32 bits
constexpr double kProbability = 0.02;  ///< in 16 bits
/// The same of whole runs.
constexpr double kSmallestPipelineDice = 0.98;
constexpr double kLargestPipelineShare = 0.005;

/// Label of the largest of a pixel's four logits among those of open structures, and how far the next one lies.
struct Choice {
  std::size_t label = 0;
  double gap = HUGE_VAL;
};

Choice choose(const float* logits, std::size_t pixels, const ops::Gate& open) {
  Choice choice;
  for (std::size_t label = 1; label < kLabelCount; ++label) {
    if (!open[label - 1]) continue;
    const double lead =
        static_cast<double>(logits[choice.label * pixels]) - static_cast<double>(logits[label * pixels]);
    choice = lead < 0 ? Choice{label, -lead} : Choice{choice.label, std::min(choice.gap, lead)};
  }
  return choice;
}

double largest_difference(std::span<const float> reference, std::span<const float> found) {
  double largest = 0;
  for (std::size_t index = 0; index < reference.size(); ++index) {
    const double difference = std::abs(static_cast<double>(reference[index]) - static_cast<double>(found[index]));
    if (difference > largest) largest = difference;
  }
  return largest;
}

std::int64_t not_finite(std::span<const float> values) {
  return std::count_if(values.begin(), values.end(), [](float value) { return !std::isfinite(value); });
}

double share(const StageParity& sums) {
  return sums.voxels == 0 ? 0 : static_cast<double>(sums.differing) / static_cast<double>(sums.voxels);
}

/// The numbers that the gate looks at.
std::string numbers(const StageParity& sums, Precision precision) {
  std::string probabilities = text_of<4>("probabilities within ", sums.probability_difference);
  if (sums.voxels == 0) return probabilities;
  const std::string logits = text_of<4>("logits within ", sums.largest_difference);
  if (precision == Precision::float32) return logits + ", " + probabilities;
  return text_of<4>("Dice ", *std::min_element(sums.dice.begin(), sums.dice.end()), ", ", 100 * share(sums),
                    " % of voxels differ, ") +
         logits + ", " + probabilities;
}

}  // namespace

void LabelOverlap::write(StageParity& sums) const {
  sums.voxels = std::accumulate(in_either_.begin(), in_either_.end(), std::int64_t{0}) / 2;
  sums.differing = sums.voxels - std::accumulate(in_both_.begin(), in_both_.end(), std::int64_t{0});
  for (std::size_t k = 0; k < sums.dice.size(); ++k) {
    const std::int64_t either = in_either_[k + 1];
    sums.dice[k] = either == 0 ? 1.0 : 2 * static_cast<double>(in_both_[k + 1]) / static_cast<double>(either);
  }
}

void StageComparison::add(const StageOutputs& reference, const StageOutputs& found, std::int64_t slices) {
  sums_.unwritten += not_finite(found.logits) + not_finite(found.probabilities);
  sums_.largest_difference = std::max(sums_.largest_difference, largest_difference(reference.logits, found.logits));
  sums_.probability_difference =
      std::max(sums_.probability_difference, largest_difference(reference.probabilities, found.probabilities));
  if (reference.logits.empty()) return;
  const std::size_t pixels = reference.logits.size() / (static_cast<std::size_t>(slices) * kLabelCount);
  const float* presence = reference.probabilities.empty() ? nullptr : reference.probabilities.data();
  for (std::int64_t slice = 0; slice < slices; ++slice) {
    const std::size_t start = static_cast<std::size_t>(slice) * kLabelCount * pixels;
    add_slice(&reference.logits[start], &found.logits[start], presence, slice, pixels);
  }
}

void StageComparison::add_slice(const float* reference, const float* found, const float* presence, std::int64_t slice,
                                std::size_t pixels) {
  const ops::Gate open = ops::presence_gate(presence, slice, threshold_);
  for (std::size_t pixel = 0; pixel < pixels; ++pixel) {
    const Choice expected = choose(reference + pixel, pixels, open);
    const std::size_t label = choose(found + pixel, pixels, open).label;
    overlap_.add(expected.label, label);
    if (label != expected.label) sums_.largest_gap = std::max(sums_.largest_gap, expected.gap);
  }
}

std::vector<std::string> StageComparison::failures(const StageParity& sums) const {
  std::vector<std::string> found;
  const auto want = [&found](bool kept, const std::string& what) {
    if (!kept) found.push_back(what);
  };
  want(sums.unwritten == 0, text_of<4>(sums.unwritten, " outputs are not finite or were never written"));
  if (precision_ == Precision::float32) {
    want(sums.largest_difference <= kExact, text_of<4>("expected logits within ", kExact));
    want(sums.probability_difference <= kExact, text_of<4>("expected probabilities within ", kExact));
    return found;
  }
  for (std::size_t k = 0; k < sums.dice.size(); ++k) {
    want(sums.dice[k] >= kSmallestDice || overlap_.differing(k + 1) <= kFewVoxels,
         text_of<4>("expected Dice of at least ", kSmallestDice, " for label ", k + 1));
  }
  want(share(sums) <= kLargestShare, text_of<4>("expected at most ", 100 * kLargestShare, " % of voxels to differ"));
  want(sums.largest_gap < kLargestGap,
       text_of<4>("a voxel differs whose logits are ", sums.largest_gap, " apart, expected less than ", kLargestGap));
  want(sums.probability_difference <= kProbability, text_of<4>("expected probabilities within ", kProbability));
  return found;
}

StageParity StageComparison::result() const {
  StageParity sums = sums_;
  overlap_.write(sums);
  sums.stage = stage_;
  sums.precision = to_string(precision_);
  const std::vector<std::string> failed = failures(sums);
  sums.passed = failed.empty();
  sums.verdict = stage_ + " (" + sums.precision + "): " + numbers(sums, precision_);
  if (!sums.passed) sums.verdict += "; " + joined(failed, ", ");
  return sums;
}

StageParity compare_labels(std::span<const std::uint8_t> reference, const std::vector<std::vector<std::uint8_t>>& runs,
                           Precision precision) {
  LabelOverlap overlap;
  for (const std::vector<std::uint8_t>& labels : runs) {
    for (std::size_t index = 0; index < labels.size(); ++index) overlap.add(reference[index], labels[index]);
  }
  StageParity sums;
  sums.stage = "pipeline";
  sums.precision = to_string(precision);
  overlap.write(sums);
  sums.passed = share(sums) <= kLargestPipelineShare;
  for (std::size_t k = 0; k < sums.dice.size(); ++k) {
    sums.passed = sums.passed && (sums.dice[k] >= kSmallestPipelineDice || overlap.differing(k + 1) <= kFewVoxels);
  }
  sums.verdict =
      text_of<4>("pipeline (", sums.precision, "): Dice ", *std::min_element(sums.dice.begin(), sums.dice.end()), ", ",
                 100 * share(sums), " % of voxels differ");
  if (!sums.passed) {
    sums.verdict += text_of<4>("; expected Dice of at least ", kSmallestPipelineDice, " for each label and at most ",
                               100 * kLargestPipelineShare, " % of voxels to differ");
  }
  return sums;
}

Parity join(std::vector<StageParity> stages, const std::string& networks, const std::string& reference) {
  Parity parity{.passed = true, .stages = std::move(stages), .summary = {}};
  std::vector<std::string> verdicts;
  for (const StageParity& stage : parity.stages) {
    parity.passed = parity.passed && stage.passed;
    verdicts.push_back(stage.verdict);
  }
  parity.summary =
      networks + (parity.passed ? " agree with " : " do not agree with ") + reference + ": " + joined(verdicts, "; ");
  return parity;
}

}  // namespace cardiacseg
