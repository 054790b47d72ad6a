#include "check.h"
#include "pipeline/results.h"

namespace cardiacseg {

TEST(the_same_labels_agree) {
  CHECK((stage_agreement({{1, 1, 1, 2}, {1, 1, 1, 2}, {1, 1, 1, 2}}) == Agreement{1, 1, 1}));
}

// RV: 2 and 1 pixels, 1 in both: 2 / 3. MYO: 1 and 3, 1 in both: 2 / 4. LV: 2 and 1, none in both.
TEST(dice_by_structure) {
  const Agreement found = stage_agreement({{1, 2, 1, 2}, {1, 1, 3, 1}, {0, 1, 1, 0}});
  CHECK_NEAR(found[0], 2.0 / 3.0, 1e-6);
  CHECK_NEAR(found[1], 0.5, 1e-6);
  CHECK(found[2] == 0);
}

TEST(what_is_in_neither_agrees) {
  CHECK((stage_agreement({{2, 0, 0, 0}, {2, 0, 0, 0}, {2, 0, 0, 0}}) == Agreement{1, 1, 1}));
  CHECK((stage_agreement({{1, 1, 0, 0}, {2, 0, 0, 0}, {1, 0, 0, 0}}) == Agreement{0, 1, 1}));
  CHECK((stage_agreement({{2, 0, 0, 0}, {1, 0, 0, 1}, {1, 0, 0, 0}}) == Agreement{1, 1, 0}));
}

TEST(sums_of_two_counts_may_pass_32_bits) {
  constexpr std::int32_t most = 2147483647;
  CHECK((stage_agreement({{0, most, 0, 0}, {0, most, 0, 0}, {0, most, 0, 0}}) == Agreement{1, 1, 1}));
}

TEST(quality_is_a_line_within_its_limits) {
  const Agreement agreement{0.9F, 0.6F, 0.75F};
  CHECK_NEAR(predicted_quality({0.1, 1.0}, agreement), 0.85, 1e-6);
  CHECK_NEAR(predicted_quality({0.3, 0.4}, agreement), 0.6, 1e-6);
  CHECK(predicted_quality({0.5, 1.0}, agreement) == 1);
  CHECK(predicted_quality({0.5, -1.0}, agreement) == 0);
}

}  // namespace cardiacseg
