#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <limits>
#include <stdexcept>
#include <vector>

#include "expect_error.h"
#include "ops/mask_fusion.h"

namespace cardiacseg::ops {
namespace {

using Labels = std::vector<std::uint8_t>;

/// Logits `[1, 4, pixels]` whose softmax is nearly 1 at the given label of each pixel.
std::vector<float> certain(const Labels& labels, float logit = 20) {
  std::vector<float> logits(4 * labels.size(), 0.0F);
  for (std::size_t pixel = 0; pixel < labels.size(); ++pixel) logits[labels[pixel] * labels.size() + pixel] = logit;
  return logits;
}

/// Logits of the given probabilities at every one of `pixels` pixels.
std::vector<float> uniform(const std::vector<float>& probabilities, std::size_t pixels) {
  std::vector<float> logits;
  for (const float probability : probabilities) logits.insert(logits.end(), pixels, std::log(probability));
  return logits;
}

struct Crop {
  std::int32_t top;
  std::int32_t left;
  std::int64_t rows;
  std::int64_t columns;
};

/// One stack's grid and where the crop lies on the network's.
struct Grids {
  std::int64_t slices;
  std::int64_t rows;
  std::int64_t columns;
  double row_spacing;
  double column_spacing;
  double target;
  Crop crop;

  FusionGeometry geometry() const {
    return {slices, rows, columns, row_spacing, column_spacing, target, crop.rows, crop.columns};
  }
  std::size_t voxels() const { return static_cast<std::size_t>(slices * rows * columns); }
};

void fuse(const std::vector<float>& logits, const std::vector<float>& presence, const FusionRules& rules,
          const Grids& grids, const FusionOutputs& outputs) {
  const std::vector<CropOrigin> origins{{grids.crop.top, grids.crop.left}};
  mask_fusion(logits, presence, origins, rules, grids.geometry(), outputs);
}

Labels fused(const std::vector<float>& logits, const std::vector<float>& presence, const Grids& grids) {
  Labels labels(grids.voxels(), 9);
  fuse(logits, presence, {0.5F}, grids, {labels});
  return labels;
}

std::vector<float> shares(const std::vector<float>& logits, const std::vector<float>& presence, const Grids& grids,
                          float temperature = 1) {
  Labels labels(grids.voxels(), 9);
  std::vector<float> probabilities(4 * labels.size(), 9.0F);
  fuse(logits, presence, {0.5F, temperature}, grids, {labels, probabilities});
  EXPECT_EQ(labels, fused(logits, presence, grids));
  return probabilities;
}

void check_near(const std::vector<float>& values, const std::vector<double>& wanted) {
  EXPECT_EQ(values.size(), wanted.size());
  for (std::size_t index = 0; index < values.size(); ++index) EXPECT_NEAR(values[index], wanted[index], 1e-6);
}

/// One slice on the network's own grid, covered by the crop.
Grids plain(std::int64_t rows, std::int64_t columns) {
  return {1, rows, columns, 1.5, 1.5, 1.5, {0, 0, rows, columns}};
}

}  // namespace

TEST(MaskFusion, SameGridKeepsEveryLabel) {
  const Labels labels{0, 1, 2, 3, 3, 2};
  EXPECT_EQ(fused(certain(labels), {}, plain(2, 3)), labels);
  EXPECT_EQ(fused(certain(labels), {0.9F, 0.9F, 0.9F}, plain(3, 2)), labels);
  EXPECT_EQ(fused(certain({2}), {}, plain(1, 1)), Labels{2});
}

TEST(MaskFusion, GateOpensOnlyAboveTheThreshold) {
  const Labels labels{0, 1, 2, 3};
  const float just_above = std::nextafter(0.5F, 1.0F);
  EXPECT_EQ(fused(certain(labels), {0.5F, just_above, just_above}, plain(1, 4)), (Labels{0, 0, 2, 3}));
  EXPECT_EQ(fused(certain(labels), {just_above, 0.5F, 0.2F}, plain(1, 4)), (Labels{0, 1, 0, 0}));
  EXPECT_EQ(fused(certain(labels), {0, 0, 0}, plain(1, 4)), Labels(4, 0));
}

TEST(MaskFusion, ClosedStructureGivesWayToTheNextBest) {
  const std::vector<float> logits = uniform({0.1F, 0.2F, 0.3F, 0.4F}, 1);
  EXPECT_EQ(fused(logits, {1, 1, 1}, plain(1, 1)), Labels{3});
  EXPECT_EQ(fused(logits, {1, 1, 0}, plain(1, 1)), Labels{2});
  EXPECT_EQ(fused(logits, {1, 0, 0}, plain(1, 1)), Labels{1});
}

TEST(MaskFusion, EachSliceHasItsOwnGate) {
  std::vector<float> logits = certain({1, 3});
  const std::vector<float> second = certain({1, 3});
  logits.insert(logits.end(), second.begin(), second.end());
  Grids grids = plain(1, 2);
  grids.slices = 2;
  EXPECT_EQ(fused(logits, {0, 0, 1, 1, 0, 0}, grids), (Labels{0, 3, 1, 0}));
}

TEST(MaskFusion, LowestLabelWinsATie) {
  EXPECT_EQ(fused(std::vector<float>(4, 0.0F), {}, plain(1, 1)), Labels{0});
  EXPECT_EQ(fused({-9, 2, 2, 2}, {}, plain(1, 1)), Labels{1});
  EXPECT_EQ(fused({-9, 2, 3, 3}, {}, plain(1, 1)), Labels{2});
  EXPECT_EQ(fused({-9, 2, 3, 3}, {1, 0, 1}, plain(1, 1)), Labels{3});
  // Half way between a pixel of label 3 and one of label 1.
  EXPECT_EQ(fused(certain({3, 1}), {}, {1, 1, 1, 1, 2, 1, {0, 0, 1, 2}}), Labels{1});
}

// Network pixels of 2 mm, voxels of 1 mm: voxel i lies at (i + 0.5) / 2 - 0.5 = -0.25, 0.25, 0.75, 1.25. With
// probabilities of label 1 0.8 and 0.0 they are 0.8, 0.6, 0.2, 0.0; of background 0.2, 0.4, 0.8, 1.0.
TEST(MaskFusion, ProbabilitiesAreInterpolatedNotLabels) {
  std::vector<float> logits{std::log(0.2F), 0, std::log(0.8F), -1e4F, -1e4F, -1e4F, -1e4F, -1e4F};
  EXPECT_EQ(fused(logits, {}, {1, 1, 4, 2, 1, 2, {0, 0, 1, 2}}), (Labels{1, 1, 0, 0}));
  // With 0.6 at the first pixel, 0.45 and 0.55 at the second voxel.
  logits[0] = std::log(0.4F);
  logits[2] = std::log(0.6F);
  EXPECT_EQ(fused(logits, {}, {1, 1, 4, 2, 1, 2, {0, 0, 1, 2}}), (Labels{1, 0, 0, 0}));
}

// 0.4 and 0.2 of label 1 and of background at the first pixel, 0 and 1 at the second: at 0.25 that is 0.3 and 0.4.
// Without the softmax's division by its sum, label 1 would still be ahead there.
TEST(MaskFusion, InterpolatedProbabilitiesSumToOne) {
  const std::vector<float> logits{std::log(0.2F), 0,     std::log(0.4F), -1e4F,
                                  std::log(0.2F), -1e4F, std::log(0.2F), -1e4F};
  EXPECT_EQ(fused(logits, {}, {1, 1, 4, 2, 1, 2, {0, 0, 1, 2}}), (Labels{1, 0, 0, 0}));
}

// Label 1 has 0.45 at the first pixel and 0 at the second; going on along that slope it would have 0.56 at -0.25.
TEST(MaskFusion, NothingIsExtrapolatedAtTheBorder) {
  const std::vector<float> logits{std::log(0.55F), 0, std::log(0.45F), -1e4F, -1e4F, -1e4F, -1e4F, -1e4F};
  EXPECT_EQ(fused(logits, {}, {1, 1, 4, 2, 1, 2, {0, 0, 1, 2}}), Labels(4, 0));
}

// Rows of 2 mm and columns of 0.5 mm on a grid of 1 mm: 1 row of voxels between the two rows of the crop, at
// 0.5 * 2 - 0.5 = 0.5; 4 columns of voxels at -0.25, 0.25, 0.75, 1.25. Left column: mean of labels 2 and 2; right: of 3
// (certain) and background (certain), a tie that background wins.
TEST(MaskFusion, AxesHaveTheirOwnSpacing) {
  EXPECT_EQ(fused(certain({2, 3, 2, 0}), {}, {1, 1, 4, 2, 0.5, 1, {0, 0, 2, 2}}), (Labels{2, 2, 0, 0}));
}

// The crop's 2 x 2 pixels are network pixels 1 and 2; voxels of the same size outside them are background.
TEST(MaskFusion, BackgroundOutsideTheCrop) {
  EXPECT_EQ(fused(certain({1, 2, 3, 1}), {}, {1, 4, 4, 1, 1, 1, {1, 1, 2, 2}}),
            (Labels{0, 0, 0, 0, 0, 1, 2, 0, 0, 3, 1, 0, 0, 0, 0, 0}));
}

// Voxels of 0.5 mm lie at -0.25, 0.25, ...; pixel 1 reaches from 0.5 to 1.5, so it holds the voxels at 0.75 and 1.25.
TEST(MaskFusion, BorderTakesTheNearestPixel) {
  EXPECT_EQ(fused(certain({3}), {}, {1, 1, 6, 1, 0.5, 1, {0, 1, 1, 1}}), (Labels{0, 0, 3, 3, 0, 0}));
}

// A voxel of 2 mm lies at 0.5 on a grid of 1 mm: just on the edge between pixels 0 and 1, which belongs to both.
TEST(MaskFusion, CenterOnTheEdgeIsInside) {
  EXPECT_EQ(fused(certain({2}), {}, {1, 1, 1, 1, 2, 1, {0, 0, 1, 1}}), Labels{2});
  EXPECT_EQ(fused(certain({2}), {}, {1, 1, 1, 1, 2, 1, {0, 1, 1, 1}}), Labels{2});
}

TEST(MaskFusion, NegativeOriginShowsTheInsideOfAPaddedCrop) {
  EXPECT_EQ(fused(certain({0, 0, 0, 0, 1, 2, 0, 3, 0}), {}, {1, 2, 2, 1, 1, 1, {-1, -1, 3, 3}}), (Labels{1, 2, 3, 0}));
}

TEST(MaskFusion, CropBeyondTheImageLeavesBackground) {
  for (const std::int32_t away : {-5, 9}) {
    EXPECT_EQ(fused(certain({1, 1, 1, 1}), {}, {1, 3, 3, 1, 1, 1, {away, 0, 2, 2}}), Labels(9, 0));
    EXPECT_EQ(fused(certain({1, 1, 1, 1}), {}, {1, 3, 3, 1, 1, 1, {0, away, 2, 2}}), Labels(9, 0));
  }
}

TEST(MaskFusion, ExtremeLogitsStayFinite) {
  EXPECT_EQ(fused({1e4F, -1e4F, -1e4F, -1e4F}, {}, plain(1, 1)), Labels{0});
  EXPECT_EQ(fused({-1e4F, -1e4F, 1e4F, -1e4F}, {}, plain(1, 1)), Labels{2});
  EXPECT_EQ(fused({-1e4F, -1e4F, -1e4F, -1e4F}, {}, plain(1, 1)), Labels{0});
  EXPECT_EQ(fused({1e4F, 1e4F, 1e4F, 1e4F}, {1, 1, 1}, plain(1, 1)), Labels{0});
  EXPECT_EQ(fused(certain({1, 3}, 1e4F), {}, {1, 1, 4, 2, 1, 2, {0, 0, 1, 2}}), (Labels{1, 1, 3, 3}));
}

TEST(MaskFusion, NanGivesBackground) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(fused({nan, 1, 2, 3}, {}, plain(1, 1)), Labels{0});
  EXPECT_EQ(fused(certain({2}), {1, nan, 1}, plain(1, 1)), Labels{0});
}

TEST(MaskFusion, ProbabilitiesAreTheSoftmax) {
  check_near(shares(uniform({0.1F, 0.2F, 0.3F, 0.4F}, 1), {}, plain(1, 1)), {0.1, 0.2, 0.3, 0.4});
  check_near(shares(uniform({0.1F, 0.2F, 0.3F, 0.4F}, 2), {}, plain(2, 1)), {0.1, 0.1, 0.2, 0.2, 0.3, 0.3, 0.4, 0.4});
}

// Of 0.1, 0.2, 0.3 and 0.4: without the last 0.1 / 0.6 ...; without all but the second 0.1 / 0.4 and 0.3 / 0.4.
TEST(MaskFusion, OpenProbabilitiesSumToOne) {
  const std::vector<float> logits = uniform({0.1F, 0.2F, 0.3F, 0.4F}, 1);
  check_near(shares(logits, {1, 1, 0}, plain(1, 1)), {1.0 / 6, 2.0 / 6, 3.0 / 6, 0});
  check_near(shares(logits, {0, 1, 0.5F}, plain(1, 1)), {0.25, 0, 0.75, 0});
  check_near(shares(logits, {0, 0, 0}, plain(1, 1)), {1, 0, 0, 0});
}

// Of 0.2 and 0.8, the square roots go as 1 to 2 and the squares as 1 to 16.
TEST(MaskFusion, TemperatureDividesTheLogits) {
  const std::vector<float> logits{std::log(0.2F), -1e4F, std::log(0.8F), -1e4F};
  check_near(shares(logits, {}, plain(1, 1), 1), {0.2, 0, 0.8, 0});
  check_near(shares(logits, {}, plain(1, 1), 2), {1.0 / 3, 0, 2.0 / 3, 0});
  check_near(shares(logits, {}, plain(1, 1), 0.5F), {1.0 / 17, 0, 16.0 / 17, 0});
  check_near(shares({5, 1, 2, 5.5F}, {}, plain(1, 1), 1e-42F), {0, 0, 0, 1});
}

// As in probabilities_not_labels_are_interpolated: at voxels -0.25, 0.25, 0.75, 1.25 label 1 has 0.8, 0.6, 0.2, 0.
TEST(MaskFusion, ProbabilitiesAreInterpolatedThenGated) {
  const std::vector<float> logits{std::log(0.1F), 0, std::log(0.8F), -1e4F, std::log(0.1F), -1e4F, -1e4F, -1e4F};
  const Grids grids{1, 1, 4, 2, 1, 2, {0, 0, 1, 2}};
  check_near(shares(logits, {}, grids), {0.1, 0.325, 0.775, 1, 0.8, 0.6, 0.2, 0, 0.1, 0.075, 0.025, 0, 0, 0, 0, 0});
  check_near(shares(logits, {0, 1, 1}, grids),
             {0.5, 0.8125, 0.96875, 1, 0, 0, 0, 0, 0.5, 0.1875, 0.03125, 0, 0, 0, 0, 0});
}

TEST(MaskFusion, BackgroundIsCertainOutsideTheCrop) {
  check_near(shares(uniform({0.1F, 0.2F, 0.3F, 0.4F}, 1), {}, {1, 1, 3, 1, 1, 1, {0, 1, 1, 1}}),
             {1, 0.1, 1, 0, 0.2, 0, 0, 0.3, 0, 0, 0.4, 0});
}

TEST(MaskFusion, EachSliceHasItsOwnProbabilities) {
  std::vector<float> logits = uniform({0.1F, 0.2F, 0.3F, 0.4F}, 1);
  const std::vector<float> second = uniform({0.4F, 0.3F, 0.2F, 0.1F}, 1);
  logits.insert(logits.end(), second.begin(), second.end());
  Grids grids = plain(1, 1);
  grids.slices = 2;
  check_near(shares(logits, {}, grids), {0.1, 0.2, 0.3, 0.4, 0.4, 0.3, 0.2, 0.1});
}

TEST(MaskFusion, ProbabilitiesOfClosedSlicesAreBackground) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  check_near(shares({nan, 1, 2, 3}, {}, plain(1, 1)), {1, 0, 0, 0});
  check_near(shares({-1e4F, -1e4F, -1e4F, 1e4F}, {1, 1, 0}, plain(1, 1)), {1, 0, 0, 0});
}

// Two slices of labels 0 to 3, in the second of which the myocardium may not be shown; around them lies background.
TEST(MaskFusion, CountsAreAdded) {
  std::vector<float> logits = certain({0, 1, 2, 2, 3, 3});
  const std::vector<float> second = logits;
  logits.insert(logits.end(), second.begin(), second.end());
  Grids grids{2, 3, 4, 1, 1, 1, {1, 0, 2, 3}};
  Labels labels(grids.voxels());
  std::vector<std::int32_t> counts{0, 0, 0, 0, 100, 200, 300, 400};
  fuse(logits, {1, 1, 1, 1, 0, 1}, {0.5F}, grids, {labels, {}, counts});
  EXPECT_EQ(counts, (std::vector<std::int32_t>{7, 1, 2, 2, 109, 201, 300, 402}));
}

TEST(MaskFusion, EachStackHasItsOwnCrop) {
  std::vector<float> logits = certain({1, 2});
  const std::vector<float> second = certain({3, 1});
  logits.insert(logits.end(), second.begin(), second.end());
  const std::vector<CropOrigin> origins{{0, 0}, {0, 1}};
  Labels labels(6, 9);
  mask_fusion(logits, {}, origins, {0.5F}, {1, 1, 3, 1, 1, 1, 1, 2}, {labels});
  EXPECT_EQ(labels, (Labels{1, 2, 0, 0, 3, 1}));
}

TEST(MaskFusion, WrongTemperaturesAreRefused) {
  const std::vector<float> four(4);
  Labels one(1);
  for (const float temperature : {0.0F, -1.0F, std::numeric_limits<float>::quiet_NaN(), HUGE_VALF}) {
    EXPECT_THROW_MESSAGE(fuse(four, {}, {0.5F, temperature}, plain(1, 1), {one}), std::invalid_argument,
                         "temperature of mask_fusion: expected a finite number above 0");
  }
}

TEST(MaskFusion, WrongSizesAreRefused) {
  const std::vector<float> four(4);
  Labels one(1);
  EXPECT_THROW_MESSAGE(fuse({}, {}, {0.5F}, plain(1, 1), {one}), std::invalid_argument,
                       "logits of mask_fusion: expected 4");
  EXPECT_THROW_MESSAGE(fuse(four, four, {0.5F}, plain(1, 1), {one}), std::invalid_argument, "presence of mask_fusion");
  EXPECT_THROW_MESSAGE(fuse(four, {}, {0.5F}, plain(1, 1), {}), std::invalid_argument,
                       "labels of mask_fusion: expected 1");
  std::vector<float> three(3);
  EXPECT_THROW_MESSAGE(fuse(four, {}, {0.5F}, plain(1, 1), {one, three}), std::invalid_argument,
                       "probabilities of mask_fusion: expected 4");
  std::vector<std::int32_t> five(5);
  EXPECT_THROW_MESSAGE(fuse(four, {}, {0.5F}, plain(1, 1), {one, {}, five}), std::invalid_argument,
                       "counts of mask_fusion: expected 4");
  EXPECT_THROW_MESSAGE(fused(four, {}, {1, 1, 1, 0, 1, 1, {0, 0, 1, 1}}), std::invalid_argument, "pixel sizes");
  EXPECT_THROW_MESSAGE(fuse({}, {}, {0.5F}, plain(0, 0), {}), std::invalid_argument, "1 or more");
  EXPECT_THROW_MESSAGE(mask_fusion(four, {}, {}, {0.5F}, plain(1, 1).geometry(), {one}), std::invalid_argument,
                       "stacks of mask_fusion: expected extents of 1 or more");
}

TEST(MaskFusion, GridsTooLargeToCountAreRefused) {
  const std::int64_t many = 1 << 16;
  EXPECT_THROW_MESSAGE(fuse({}, {}, {0.5F}, {1, many, many, 1, 1, 1, {0, 0, 1, 1}}, {}), std::invalid_argument,
                       "grid of mask_fusion: expected fewer than 2^31 pixels");
  EXPECT_THROW_MESSAGE(fuse({}, {}, {0.5F}, {1, 1, 1, 1, 1, 1, {0, 0, many, many}}, {}), std::invalid_argument,
                       "crop of mask_fusion: expected fewer than 2^31 pixels");
  EXPECT_THROW_MESSAGE(fuse({}, {}, {0.5F}, {1, many, 1, 1e6, 1, 1, {0, 0, 1, 1}}, {}), std::invalid_argument,
                       "pixel sizes of mask_fusion");
}

}  // namespace cardiacseg::ops
