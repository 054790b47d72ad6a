#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "expect_error.h"
#include "ops/stage_counts.h"
#include "pipeline/cine_run.h"

namespace cardiacseg::ops {
namespace {

using Labels = std::vector<std::size_t>;
using Counts = std::array<std::int32_t, 4>;

/// Logits `[slices, 4, pixels]` that are 1 at the given labels and 0 elsewhere; `labels` holds slice after slice.
std::vector<float> logits_of(const Labels& labels, std::size_t slices = 1) {
  const std::size_t pixels = labels.size() / slices;
  std::vector<float> logits(4 * labels.size(), 0.0F);
  for (std::size_t index = 0; index < labels.size(); ++index) {
    logits[(index / pixels * 4 + labels[index]) * pixels + index % pixels] = 1.0F;
  }
  return logits;
}

LabelCounts counts_of(const std::vector<float>& seg, const std::vector<float>& ref, const std::vector<float>& presence,
                      std::int64_t slices = 1) {
  LabelCounts counts{};
  const std::int64_t pixels = static_cast<std::int64_t>(seg.size()) / (4 * slices);
  stage_counts(seg, ref, presence, 0.5F, {1, slices, 1, pixels}, {&counts, 1});
  return counts;
}

bool are(const std::int32_t (&counts)[4], const Counts& wanted) {
  return std::equal(wanted.begin(), wanted.end(), counts);
}

}  // namespace

TEST(StageCounts, LabelsAreCountedInEachAndInBoth) {
  const LabelCounts found = counts_of(logits_of({1, 1, 2, 3, 3, 0}), logits_of({1, 2, 2, 2, 0, 3}), {});
  EXPECT_TRUE(are(found.first, {1, 2, 1, 2}));
  EXPECT_TRUE(are(found.second, {1, 1, 3, 1}));
  EXPECT_TRUE(are(found.both, {0, 1, 1, 0}));
}

// Ref's RV is shut, so that its pixels are background, the next best; Seg's RV stays. The threshold itself is shut.
TEST(StageCounts, GateActsOnTheSecondAlone) {
  const std::vector<float> logits = logits_of({1, 1, 2, 3});
  const LabelCounts found = counts_of(logits, logits, {0.5F, 0.51F, 0.9F});
  EXPECT_TRUE(are(found.first, {0, 2, 1, 1}));
  EXPECT_TRUE(are(found.second, {2, 0, 1, 1}));
  EXPECT_TRUE(are(found.both, {0, 0, 1, 1}));
}

TEST(StageCounts, ClosedStructureGivesWayToTheNextBest) {
  const std::vector<float> seg{0, 0, 1, 0};
  const std::vector<float> ref{0, 1, 2, 3};
  EXPECT_TRUE(are(counts_of(seg, ref, {1, 1, 0}).both, {0, 0, 1, 0}));
  EXPECT_TRUE(are(counts_of(seg, ref, {1, 1, 1}).second, {0, 0, 0, 1}));
}

TEST(StageCounts, LowestLabelWinsATieAndNanNeverWins) {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  const LabelCounts found = counts_of({2, nan, 2, 1, 2, 3, 2, 9}, {0, 5, nan, 5, 4, 6, 4, nan}, {});
  EXPECT_TRUE(are(found.first, {2, 0, 0, 0}));
  EXPECT_TRUE(are(found.second, {0, 0, 2, 0}));
}

TEST(StageCounts, SlicesCountTogetherAndHaveTheirOwnGates) {
  const LabelCounts found = counts_of(logits_of({1, 1, 1, 3}, 2), logits_of({1, 0, 1, 3}, 2), {1, 1, 1, 1, 1, 0}, 2);
  EXPECT_TRUE(are(found.first, {0, 3, 0, 1}));
  EXPECT_TRUE(are(found.second, {2, 2, 0, 0}));
  EXPECT_TRUE(are(found.both, {0, 2, 0, 0}));
}

TEST(StageCounts, StacksHaveTheirOwnCountsWhichAreAdded) {
  const std::vector<float> logits = logits_of({1, 2, 3, 3}, 2);
  std::vector<LabelCounts> counts(2, LabelCounts{{5, 0, 0, 0}, {0, 6, 0, 0}, {0, 0, 0, 7}});
  stage_counts(logits, logits, {}, 0.5F, {2, 1, 2, 1}, counts);
  EXPECT_TRUE(are(counts[0].first, {5, 1, 1, 0}) && are(counts[0].second, {0, 7, 1, 0}) &&
              are(counts[0].both, {0, 1, 1, 7}));
  EXPECT_TRUE(are(counts[1].first, {5, 0, 0, 2}) && are(counts[1].second, {0, 6, 0, 2}) &&
              are(counts[1].both, {0, 0, 0, 9}));
}

TEST(StageCounts, WrongSizesAreRefused) {
  const std::vector<float> logits(8);
  std::vector<LabelCounts> counts(1);
  const auto refuses = [&](std::span<const float> seg, std::span<const float> ref, std::span<const float> presence,
                           const StageShape& shape, const std::string& text) {
    EXPECT_THROW_MESSAGE(stage_counts(seg, ref, presence, 0.5F, shape, counts), std::invalid_argument, text);
  };
  const std::span<const float> all(logits);
  refuses(all.first(4), all, {}, {1, 1, 1, 2}, "seg logits of stage_counts: expected 8 values, got 4");
  refuses(all, all.first(4), {}, {1, 1, 1, 2}, "ref logits of stage_counts: expected 8 values, got 4");
  refuses(all, all, all.first(2), {1, 1, 1, 2}, "presence of stage_counts: expected 3 values, got 2");
  refuses(all, all, {}, {2, 1, 1, 1}, "counts of stage_counts: expected 2 values, got 1");
  refuses(all, all, {}, {1, 1, 0, 2}, "logits of stage_counts: expected extents of 1");
  refuses(all, all, {}, {1, 8, 1 << 14, 1 << 14}, "fewer than 2^31 pixels in a stack");
}

}  // namespace cardiacseg::ops

// What the pipeline makes of the counts.

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
