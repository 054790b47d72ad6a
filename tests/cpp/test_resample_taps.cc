#include <gtest/gtest.h>

#include <cstddef>
#include <limits>
#include <stdexcept>
#include <vector>

#include "expect_error.h"
#include "ops/resample_taps.h"

namespace cardiacseg::ops {
namespace {

using Indices = std::vector<std::int32_t>;

void check_weights(const ResampleTaps& taps, const std::vector<double>& wanted) {
  EXPECT_EQ(taps.weights.size(), wanted.size());
  for (std::size_t i = 0; i < wanted.size() && i < taps.weights.size(); ++i) {
    EXPECT_NEAR(taps.weights[i], wanted[i], 1e-7);
  }
}

}  // namespace

TEST(ResampleTaps, LengthIsRoundedAndAtLeastOne) {
  EXPECT_EQ(resampled_length(256, 1.5, 1.5), 256);
  EXPECT_EQ(resampled_length(100, 1.4, 1.5), 93);  // 93.3
  EXPECT_EQ(resampled_length(10, 1.5, 4.0), 4);    // 3.75
  EXPECT_EQ(resampled_length(5, 1.0, 2.0), 2);     // 2.5: ties go to even, as in Python
  EXPECT_EQ(resampled_length(7, 1.0, 2.0), 4);     // 3.5
  EXPECT_EQ(resampled_length(1, 0.1, 4.0), 1);
}

TEST(ResampleTaps, SameSpacingTakesOnePixelEach) {
  const ResampleTaps taps = resample_taps(3, 1.4, 1.4);
  EXPECT_EQ(taps.inputs, 3);
  EXPECT_EQ(taps.outputs, 3);
  EXPECT_EQ(taps.width, 1);
  EXPECT_EQ(taps.first, (Indices{0, 1, 2}));
  EXPECT_EQ(taps.count, (Indices{1, 1, 1}));
  check_weights(taps, {1, 1, 1});
}

// Centres at -0.25, 0.25, 0.75, 1.25 of pixels 0 and 1.
TEST(ResampleTaps, DoublingTakesTwoPixelsInsideAndOneAtTheEdges) {
  const ResampleTaps taps = resample_taps(2, 2, 1);
  EXPECT_EQ(taps.inputs, 2);
  EXPECT_EQ(taps.outputs, 4);
  EXPECT_EQ(taps.width, 2);
  EXPECT_EQ(taps.first, (Indices{0, 0, 0, 1}));
  EXPECT_EQ(taps.count, (Indices{1, 2, 2, 1}));
  check_weights(taps, {1, 0.75, 0.25, 1, 0, 0.25, 0.75, 0});
}

// A triangle of half width 2 round 1, 3 and 5 of 0..6; its parts outside are dropped.
TEST(ResampleTaps, HalvingTakesFourPixelsInsideAndThreeAtTheEdges) {
  const ResampleTaps taps = resample_taps(6, 1, 2);
  EXPECT_EQ(taps.outputs, 3);
  EXPECT_EQ(taps.width, 4);
  EXPECT_EQ(taps.first, (Indices{0, 1, 3}));
  EXPECT_EQ(taps.count, (Indices{3, 4, 3}));
  check_weights(taps, {3.0 / 7, 0.125, 1.0 / 7, 3.0 / 7, 0.375, 3.0 / 7, 1.0 / 7, 0.375, 3.0 / 7, 0, 0.125, 0});
}

TEST(ResampleTaps, WeightsSumToOneAndStayInsideAtAnyRatio) {
  for (const double target : {0.1, 0.31, 0.99, 1.0, 1.37, 4.0, 10.0}) {
    const ResampleTaps taps = resample_taps(23, 1, target);
    for (std::size_t i = 0; i < static_cast<std::size_t>(taps.outputs); ++i) {
      double sum = 0;
      for (std::int64_t k = 0; k < taps.width; ++k) {
        const float weight = taps.weights[static_cast<std::size_t>(k * taps.outputs) + i];
        EXPECT_TRUE(k < taps.count[i] ? weight > 0 : weight == 0);
        sum += static_cast<double>(weight);
      }
      EXPECT_NEAR(sum, 1, 1e-6);
      EXPECT_GE(taps.first[i], 0);
      EXPECT_GE(taps.count[i], 1);
      EXPECT_LE(taps.first[i] + taps.count[i], 23);
    }
  }
}

TEST(ResampleTaps, WrongInputIsRefused) {
  for (const double wrong :
       {0.0, -1.0, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(), 1e-320}) {
    EXPECT_THROW_MESSAGE(resampled_length(4, wrong, 1.5), std::invalid_argument, "pixel sizes");
    EXPECT_THROW_MESSAGE(resample_taps(4, 1.5, wrong), std::invalid_argument, "pixel sizes");
  }
  EXPECT_THROW_MESSAGE(resample_taps(0, 1, 1), std::invalid_argument, "got 0");
  EXPECT_THROW_MESSAGE(resampled_length(1 << 20, 1e6, 1.0), std::invalid_argument, "too many");
}

}  // namespace cardiacseg::ops
