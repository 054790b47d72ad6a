#include "pipeline/temporal_presence.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include "cardiacseg/labels.h"

namespace cardiacseg {
namespace {

/// Expected changes of state in a cycle; rings with two changes are kChanges^2 / 2 as frequent as rings without.
constexpr double kChanges = 0.7;
/// Limit of the odds of one frame.
constexpr double kLargestOdds = 50.0;
/// More frames in a cycle are not independent.
constexpr double kIndependentFrames = 25.0;

/// Weight of each path from the states absent and present (rows) to absent and present (columns).
using Ways = std::array<double, 4>;

/// The paths through both, divided by the largest.
Ways chained(const Ways& a, const Ways& b) {
  const Ways ways{a[0] * b[0] + a[1] * b[2], a[0] * b[1] + a[1] * b[3], a[2] * b[0] + a[3] * b[2],
                  a[2] * b[1] + a[3] * b[3]};
  const double largest = *std::max_element(ways.begin(), ways.end());
  return {ways[0] / largest, ways[1] / largest, ways[2] / largest, ways[3] / largest};
}

/// Odds of `present` as a ratio to those of the threshold.
class ThresholdOdds {
 public:
  explicit ThresholdOdds(float threshold) : odds_(threshold / (1.0 - threshold)) {}

  double of(double present) const { return present / (1.0 - present) / odds_; }
  double probability(double odds) const { return odds * odds_ / (1.0 + odds * odds_); }

 private:
  double odds_;
};

/// One slice and structure over the cycle: replaces the odds of presence in each frame.
void decide_ring(std::vector<double>& odds) {
  const auto frames = static_cast<double>(odds.size());
  const double strength = std::min(1.0, kIndependentFrames / frames);
  const double change = kChanges / frames;
  std::vector<Ways> steps;
  std::vector<Ways> from_first;
  for (const double said : odds) {
    const double counted = std::pow(said, strength);
    steps.push_back({1.0 - change, change * counted, change, (1.0 - change) * counted});
    from_first.push_back(from_first.empty() ? steps.back() : chained(from_first.back(), steps.back()));
  }
  Ways to_last{1.0, 0.0, 0.0, 1.0};
  for (std::size_t frame = odds.size(); frame-- > 0;) {
    const Ways around = chained(to_last, from_first[frame]);  // from this frame's state back to it
    odds[frame] = around[3] / around[0];
    to_last = chained(steps[frame], to_last);
  }
}

/// Odds of one structure in each frame.
using Odds = std::vector<double>;

/// If both say the same, both get the geometric mean.
void pool(Odds& a, Odds& b) {
  for (std::size_t frame = 0; frame < a.size(); ++frame) {
    const bool both = a[frame] > 1.0 && b[frame] > 1.0;
    const bool neither = a[frame] < 1.0 && b[frame] < 1.0;
    if (both || neither) a[frame] = b[frame] = std::sqrt(a[frame] * b[frame]);
  }
}

bool is_number(double value) { return !std::isnan(value); }

}  // namespace

std::vector<float> temporal_presence(std::span<const float> presence, std::int64_t slices, float threshold) {
  std::vector<float> decided(presence.begin(), presence.end());
  if (!(threshold > 0.0F && threshold < 1.0F)) return decided;  // every gate is open, or none
  const ThresholdOdds relative(threshold);
  const auto step = static_cast<std::size_t>(slices * kStructureCount);  // from frame to frame
  for (std::size_t slice = 0; slice < step; slice += kStructureCount) {
    std::array<Odds, kStructureCount> odds;
    for (std::size_t index = slice; index < presence.size(); index += step) {
      for (std::size_t k = 0; k < odds.size(); ++k) {
        odds[k].push_back(std::clamp(relative.of(presence[index + k]), 1.0 / kLargestOdds, kLargestOdds));
      }
    }
    pool(odds[1], odds[2]);
    for (std::size_t k = 0; k < odds.size(); ++k) {
      if (!std::all_of(odds[k].begin(), odds[k].end(), is_number)) continue;
      decide_ring(odds[k]);
      for (std::size_t frame = 0; frame < odds[k].size(); ++frame) {
        decided[frame * step + slice + k] = static_cast<float>(relative.probability(odds[k][frame]));
      }
    }
  }
  return decided;
}

}  // namespace cardiacseg
