#include <cmath>
#include <limits>
#include <vector>

#include "check.h"
#include "pipeline/agreement.h"

namespace cardiacseg {
namespace {

using Labels = std::vector<std::size_t>;

/// Logits `[slices, 4, pixels]` that are 1 at the given labels and 0 elsewhere; `labels` holds slice after slice.
std::vector<float> logits_of(const Labels& labels, std::size_t slices = 1) {
  const std::size_t pixels = labels.size() / slices;
  std::vector<float> logits(4 * labels.size(), 0.0F);
  for (std::size_t index = 0; index < labels.size(); ++index) {
    logits[(index / pixels * 4 + labels[index]) * pixels + index % pixels] = 1.0F;
  }
  return logits;
}

Agreement agreement(const Labels& seg, const Labels& ref, const std::vector<float>& presence, std::int64_t slices = 1) {
  const auto count = static_cast<std::size_t>(slices);
  return stage_agreement(logits_of(seg, count), logits_of(ref, count), presence, 0.5F, slices);
}

}  // namespace

TEST(the_same_labels_agree) {
  CHECK((agreement({0, 1, 2, 3, 3}, {0, 1, 2, 3, 3}, {}) == Agreement{1, 1, 1}));
  CHECK((agreement({0, 1, 2, 3, 3}, {0, 1, 2, 3, 3}, {0.9F, 0.9F, 0.9F}) == Agreement{1, 1, 1}));
}

// RV: 2 and 1 pixels, 1 in both: 2 / 3. MYO: 1 and 3, 1 in both: 2 / 4. LV: 2 and 1, none in both.
TEST(dice_by_structure) {
  const Agreement found = agreement({1, 1, 2, 3, 3, 0}, {1, 2, 2, 2, 0, 3}, {});
  CHECK_NEAR(found[0], 2.0 / 3.0, 1e-6);
  CHECK_NEAR(found[1], 0.5, 1e-6);
  CHECK(found[2] == 0);
}

TEST(what_is_in_neither_agrees) {
  CHECK((agreement({0, 0}, {0, 0}, {}) == Agreement{1, 1, 1}));
  CHECK((agreement({0, 1}, {0, 0}, {}) == Agreement{0, 1, 1}));
  CHECK((agreement({0, 0}, {0, 3}, {}) == Agreement{1, 1, 0}));
}

// Ref's RV is shut, so that its pixels are background, the next best; Seg's RV stays.
TEST(the_gate_acts_on_ref_alone) {
  CHECK((agreement({1, 1, 2, 3}, {1, 1, 2, 3}, {0.5F, 0.51F, 0.9F}) == Agreement{0, 1, 1}));
}

TEST(a_shut_structure_gives_way_to_the_next_best) {
  const std::vector<float> seg{0, 0, 1, 0};
  const std::vector<float> ref{0, 1, 2, 3};
  CHECK((stage_agreement(seg, ref, std::vector<float>{1, 1, 0}, 0.5F, 1) == Agreement{1, 1, 1}));
  CHECK((stage_agreement(seg, ref, std::vector<float>{1, 1, 1}, 0.5F, 1) == Agreement{1, 0, 0}));
}

// RV over both slices of two pixels: 3 and 2 pixels, 2 in both, the second slice's gate shut for the LV alone.
TEST(slices_count_together_and_have_their_own_gates) {
  const Agreement found = agreement({1, 1, 1, 3}, {1, 0, 1, 3}, {1, 1, 1, 1, 1, 0}, 2);
  CHECK_NEAR(found[0], 0.8, 1e-6);
  CHECK(found[1] == 1 && found[2] == 0);
}

TEST(quality_is_a_line_within_its_limits) {
  const Agreement agreement{0.9F, 0.6F, 0.75F};
  CHECK_NEAR(predicted_quality({0.1, 1.0}, agreement), 0.85, 1e-6);
  CHECK_NEAR(predicted_quality({0.3, 0.4}, agreement), 0.6, 1e-6);
  CHECK(predicted_quality({0.5, 1.0}, agreement) == 1);
  CHECK(predicted_quality({0.5, -1.0}, agreement) == 0);
}

}  // namespace cardiacseg
