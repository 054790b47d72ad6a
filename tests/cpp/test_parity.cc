// The parity gate as a function of what two networks gave.

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "pipeline/parity.h"

using namespace cardiacseg;

namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr std::size_t kPixels = 4000;  // of the one slice
constexpr float kThreshold = 0.5F;

/// Logits in which pixel p has label p % 4 by a lead of 2.
std::vector<float> clear_logits() {
  std::vector<float> logits(4 * kPixels, 0.0F);
  for (std::size_t pixel = 0; pixel < kPixels; ++pixel) logits[pixel % 4 * kPixels + pixel] = 2.0F;
  return logits;
}

const std::vector<float> kOpen{0.9F, 0.9F, 0.9F};

StageParity compare(const std::vector<float>& reference, const std::vector<float>& found, Precision precision,
                    const std::vector<float>& presence = kOpen, const std::vector<float>& found_presence = kOpen) {
  StageComparison comparison("seg", precision, kThreshold);
  comparison.add({reference, presence}, {found, found_presence}, 1);
  return comparison.result();
}

/// Gives `pixel`, which has label 0, label 1 by a small lead, where the reference has a lead of `gap`.
void nearly(std::vector<float>& reference, std::vector<float>& found, std::size_t pixel, float gap) {
  reference[kPixels + pixel] = 2.0F - gap;
  found[kPixels + pixel] = 2.0F + gap / 4;
}

}  // namespace

TEST(Parity, EqualOutputsPass) {
  for (const Precision precision : {Precision::float32, Precision::float16, Precision::bfloat16}) {
    const StageParity parity = compare(clear_logits(), clear_logits(), precision);
    EXPECT_TRUE(parity.passed);
    EXPECT_EQ(parity.voxels, 4000);
    EXPECT_EQ(parity.differing, 0);
    EXPECT_EQ(parity.unwritten, 0);
    EXPECT_EQ(parity.dice[0], 1);
    EXPECT_EQ(parity.dice[2], 1);
    EXPECT_EQ(parity.stage, "seg");
    EXPECT_EQ(parity.precision, to_string(precision));
  }
}

TEST(Parity, UnwrittenValuesFail) {
  for (const Precision precision : {Precision::float32, Precision::float16}) {
    std::vector<float> found = clear_logits();
    found[17] = kNan;
    EXPECT_FALSE(compare(clear_logits(), found, precision).passed);
    EXPECT_EQ(compare(clear_logits(), found, precision).unwritten, 1);
    found[17] = std::numeric_limits<float>::infinity();
    EXPECT_FALSE(compare(clear_logits(), found, precision).passed);
    EXPECT_FALSE(compare(clear_logits(), clear_logits(), precision, kOpen, {0.9F, kNan, 0.9F}).passed);
    EXPECT_FALSE(compare(clear_logits(), std::vector<float>(4 * kPixels, kNan), precision).passed);
  }
}

TEST(Parity, Float32ComparesLogits) {
  std::vector<float> found = clear_logits();
  found[5] += 0.9e-3F;
  EXPECT_TRUE(compare(clear_logits(), found, Precision::float32).passed);
  found[5] += 0.3e-3F;
  const StageParity parity = compare(clear_logits(), found, Precision::float32);
  EXPECT_FALSE(parity.passed);
  EXPECT_NEAR(parity.largest_difference, 1.2e-3, 1e-6);
  EXPECT_NE(parity.verdict.find("expected logits within 0.001"), std::string::npos);
}

TEST(Parity, SixteenBitsCompareLabels) {
  std::vector<float> found = clear_logits();
  for (float& logit : found) logit += 0.5F;  // no label changes
  EXPECT_TRUE(compare(clear_logits(), found, Precision::float16).passed);
  EXPECT_FALSE(compare(clear_logits(), found, Precision::float32).passed);
}

TEST(Parity, SixteenBitsAllowNearTies) {
  std::vector<float> reference = clear_logits();
  std::vector<float> found = clear_logits();
  nearly(reference, found, 8, 0.04F);
  const StageParity parity = compare(reference, found, Precision::float16);
  EXPECT_TRUE(parity.passed);
  EXPECT_EQ(parity.differing, 1);
  EXPECT_NEAR(parity.largest_gap, 0.04, 1e-6);
}

TEST(Parity, SixteenBitsForbidClearDifferences) {
  std::vector<float> reference = clear_logits();
  std::vector<float> found = clear_logits();
  nearly(reference, found, 8, 0.06F);
  const StageParity parity = compare(reference, found, Precision::float16);
  EXPECT_FALSE(parity.passed);
  EXPECT_NE(parity.verdict.find("apart, expected less than 0.05"), std::string::npos);
}

TEST(Parity, SixteenBitsAllowFewVoxels) {
  std::vector<float> reference = clear_logits();
  std::vector<float> found = clear_logits();
  for (std::size_t pixel = 0; pixel < 12; pixel += 4) nearly(reference, found, pixel, 0.01F);
  const StageParity parity = compare(reference, found, Precision::float16);  // 3 of 4000
  EXPECT_FALSE(parity.passed);
  EXPECT_NE(parity.verdict.find("of voxels to differ"), std::string::npos);
}

/// `voxels` of RV, each a near tie, beside 100,000 of background; the first `lost` of them become background.
StageParity lose(std::size_t voxels, std::size_t lost) {
  const std::size_t pixels = 100000;
  std::vector<float> reference(4 * pixels, 0.0F);
  std::fill_n(reference.begin(), pixels, 1.0F);
  std::fill_n(reference.begin() + pixels, voxels, 1.01F);
  std::vector<float> found = reference;
  std::fill_n(found.begin() + pixels, lost, 0.99F);
  return compare(reference, found, Precision::float16);
}

TEST(Parity, DiceIsThatOfEachStructure) {
  const StageParity parity = lose(100, 5);
  EXPECT_FALSE(parity.passed);
  EXPECT_NEAR(parity.dice[0], 190.0 / 195.0, 1e-12);
  EXPECT_EQ(parity.dice[1], 1);
  EXPECT_EQ(parity.dice[2], 1);
  EXPECT_NE(parity.verdict.find("expected Dice of at least 0.999 for label 1"), std::string::npos);
}

TEST(Parity, FewNearTiesOfASmallStructureMayDiffer) {
  const StageParity parity = lose(100, 4);
  EXPECT_TRUE(parity.passed);
  EXPECT_NEAR(parity.dice[0], 192.0 / 196.0, 1e-12);
}

TEST(Parity, LabelsBehindAClosedGateDoNotCount) {
  std::vector<float> found = clear_logits();
  for (std::size_t pixel = 1; pixel < kPixels; pixel += 4) found[2 * kPixels + pixel] = 2.1F;  // RV becomes MYO
  const std::vector<float> shut{0.9F, 0.1F, 0.9F};
  EXPECT_FALSE(compare(clear_logits(), found, Precision::float16).passed);
  EXPECT_TRUE(compare(clear_logits(), found, Precision::float16, shut, shut).passed);
}

TEST(Parity, ComparesProbabilities) {
  const std::vector<float> reference{0.2F, 0.6F, 0.9F};
  EXPECT_TRUE(compare(clear_logits(), clear_logits(), Precision::float16, reference, {0.2F, 0.615F, 0.9F}).passed);
  EXPECT_FALSE(compare(clear_logits(), clear_logits(), Precision::float16, reference, {0.2F, 0.625F, 0.9F}).passed);
  EXPECT_FALSE(compare(clear_logits(), clear_logits(), Precision::float32, reference, {0.2F, 0.602F, 0.9F}).passed);
}

TEST(Parity, LocatorMapIsProbabilities) {
  StageComparison comparison("locate", Precision::float16, kThreshold);
  const std::vector<float> map{0.1F, 0.9F};
  const std::vector<float> other{0.1F, 0.91F};
  comparison.add({{}, map}, {{}, other}, 1);
  EXPECT_TRUE(comparison.result().passed);
  EXPECT_NEAR(comparison.result().probability_difference, 0.01, 1e-6);
  EXPECT_EQ(comparison.result().voxels, 0);
  comparison.add({{}, map}, {{}, std::vector<float>{0.1F, kNan}}, 1);
  EXPECT_FALSE(comparison.result().passed);
}

TEST(Parity, EveryAddedOutputCounts) {
  StageComparison comparison("seg", Precision::float16, kThreshold);
  std::vector<float> reference = clear_logits();
  std::vector<float> found = clear_logits();
  comparison.add({reference, kOpen}, {found, kOpen}, 1);
  nearly(reference, found, 8, 0.06F);
  comparison.add({reference, kOpen}, {found, kOpen}, 1);
  comparison.add({found, kOpen}, {found, kOpen}, 1);
  EXPECT_EQ(comparison.result().voxels, 12000);
  EXPECT_FALSE(comparison.result().passed);
}

TEST(Parity, OneFailedStageFailsAll) {
  const StageParity good = compare(clear_logits(), clear_logits(), Precision::float16);
  std::vector<float> found = clear_logits();
  found[0] = kNan;
  const StageParity bad = compare(clear_logits(), found, Precision::float16);
  EXPECT_TRUE(join({good, good}, "the networks in bf16", "those in fp32").passed);
  const Parity parity = join({good, bad}, "the networks in bf16", "those in fp32");
  EXPECT_FALSE(parity.passed);
  EXPECT_TRUE(parity.summary.starts_with("the networks in bf16 do not agree with those in fp32: seg (fp16): "));
  EXPECT_NE(parity.summary.find("never written"), std::string::npos);
}
