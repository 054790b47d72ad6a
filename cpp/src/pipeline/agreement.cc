#include "pipeline/agreement.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>

namespace cardiacseg {

Agreement stage_agreement(const ops::LabelCounts& counts) {
  Agreement dice;
  for (std::size_t k = 0; k < dice.size(); ++k) {
    const auto sum = static_cast<float>(std::int64_t{counts.first[k + 1]} + counts.second[k + 1]);
    dice[k] = sum > 0 ? 2.0F * static_cast<float>(counts.both[k + 1]) / sum : 1.0F;
  }
  return dice;
}

float predicted_quality(const QualityRule& rule, const Agreement& agreement) {
  const double mean = std::accumulate(agreement.begin(), agreement.end(), 0.0) / kStructureCount;
  return static_cast<float>(std::clamp(rule.intercept + rule.slope * mean, 0.0, 1.0));
}

}  // namespace cardiacseg
