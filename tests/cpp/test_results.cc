#include <gtest/gtest.h>

#include "pipeline/cine_run.h"

namespace cardiacseg {

TEST(Results, EqualLabelsAgree) {
  EXPECT_EQ(stage_agreement({{1, 1, 1, 2}, {1, 1, 1, 2}, {1, 1, 1, 2}}), (Agreement{1, 1, 1}));
}

// RV: 2 and 1 pixels, 1 in both: 2 / 3. MYO: 1 and 3, 1 in both: 2 / 4. LV: 2 and 1, none in both.
TEST(Results, DiceByStructure) {
  const Agreement found = stage_agreement({{1, 2, 1, 2}, {1, 1, 3, 1}, {0, 1, 1, 0}});
  EXPECT_NEAR(found[0], 2.0 / 3.0, 1e-6);
  EXPECT_NEAR(found[1], 0.5, 1e-6);
  EXPECT_EQ(found[2], 0);
}

TEST(Results, StructureInNeitherAgrees) {
  EXPECT_EQ(stage_agreement({{2, 0, 0, 0}, {2, 0, 0, 0}, {2, 0, 0, 0}}), (Agreement{1, 1, 1}));
  EXPECT_EQ(stage_agreement({{1, 1, 0, 0}, {2, 0, 0, 0}, {1, 0, 0, 0}}), (Agreement{0, 1, 1}));
  EXPECT_EQ(stage_agreement({{2, 0, 0, 0}, {1, 0, 0, 1}, {1, 0, 0, 0}}), (Agreement{1, 1, 0}));
}

TEST(Results, SumsOfCountsMayExceed32Bits) {
  constexpr std::int32_t most = 2147483647;
  EXPECT_EQ(stage_agreement({{0, most, 0, 0}, {0, most, 0, 0}, {0, most, 0, 0}}), (Agreement{1, 1, 1}));
}

TEST(Results, QualityIsAClampedLine) {
  const Agreement agreement{0.9F, 0.6F, 0.75F};
  EXPECT_NEAR(predicted_quality({0.1, 1.0}, agreement), 0.85, 1e-6);
  EXPECT_NEAR(predicted_quality({0.3, 0.4}, agreement), 0.6, 1e-6);
  EXPECT_EQ(predicted_quality({0.5, 1.0}, agreement), 1);
  EXPECT_EQ(predicted_quality({0.5, -1.0}, agreement), 0);
}

}  // namespace cardiacseg
