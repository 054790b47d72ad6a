#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "expect_error.h"
#include "ops/heart_localization.h"

namespace cardiacseg::ops {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// A map of one stack that is 0 but for the pixels that a test sets; the grid is all of it unless a test says else.
struct Map {
  Map(std::int64_t slices, std::int64_t rows, std::int64_t columns)
      : extent{1, slices, rows, columns, rows, columns},
        values(static_cast<std::size_t>(slices * extent.padded_plane()), 0.0F) {}

  float& at(std::int64_t slice, std::int64_t row, std::int64_t column) {
    return values[static_cast<std::size_t>((slice * extent.padded_rows + row) * extent.padded_columns + column)];
  }

  /// Whether that is the center. Crops of 1000 pixels, which are thousandths of the map's, begin at its thousandfold.
  bool has_centre(double row, double column, std::int64_t window, float threshold = 0.5F) const {
    CropOrigin found{-1, -1};
    heart_localization(values, extent, {threshold, window, 1000, 1000, 1000}, {&found, 1});
    return found.row == std::lrint(1000 * row) && found.column == std::lrint(1000 * column);
  }

  HeartMaps extent;
  std::vector<float> values;
};

}  // namespace

TEST(HeartLocalization, MiddleIfNothingReachesTheThreshold) {
  Map map(2, 5, 8);
  map.at(0, 0, 0) = 0.49F;
  EXPECT_TRUE(map.has_centre(2.0, 3.5, 3));
}

TEST(HeartLocalization, CentroidIsWeightedAndSummedOverSlices) {
  Map map(2, 6, 9);
  map.at(0, 2, 3) = 0.5F;
  map.at(1, 2, 3) = 1.0F;
  map.at(1, 3, 5) = 0.5F;
  EXPECT_TRUE(map.has_centre(2.25, 3.5, 4));
}

TEST(HeartLocalization, HeaviestWindowWinsOverAFarBlob) {
  Map map(1, 10, 12);
  map.at(0, 1, 1) = 1.0F;
  map.at(0, 7, 9) = 0.75F;
  map.at(0, 8, 9) = 0.75F;
  EXPECT_TRUE(map.has_centre(7.5, 9.0, 3));
}

TEST(HeartLocalization, FirstOfEqualWindowsWins) {
  Map map(1, 4, 20);
  map.at(0, 1, 2) = 1.0F;
  map.at(0, 1, 17) = 1.0F;
  EXPECT_TRUE(map.has_centre(1.0, 2.0, 3));
}

TEST(HeartLocalization, WindowLargerThanTheMapTakesAllOfIt) {
  Map map(1, 3, 5);
  map.at(0, 0, 0) = 1.0F;
  map.at(0, 2, 4) = 1.0F;
  EXPECT_TRUE(map.has_centre(1.0, 2.0, 100));
}

TEST(HeartLocalization, PaddingIsIgnored) {
  Map map(2, 5, 8);
  for (float& value : map.values) value = 1.0F;
  map.extent.rows = 3;
  map.extent.columns = 6;
  EXPECT_TRUE(map.has_centre(1.0, 2.5, 100));
  for (std::int64_t row = 0; row < 3; ++row) {
    for (std::int64_t column = 0; column < 6; ++column) map.at(0, row, column) = map.at(1, row, column) = 0.0F;
  }
  EXPECT_TRUE(map.has_centre(1.0, 2.5, 3));  // nothing: the middle of the inside
  map.at(1, 2, 4) = 0.75F;
  EXPECT_TRUE(map.has_centre(2.0, 4.0, 3));
}

TEST(HeartLocalization, ValuesOutsideZeroToOneAreClamped) {
  Map map(1, 3, 5);
  map.at(0, 0, 0) = kNan;
  EXPECT_TRUE(map.has_centre(1.0, 2.0, 5, -1.0F));
  map.at(0, 2, 1) = -std::numeric_limits<float>::infinity();
  map.at(0, 2, 2) = -0.5F;
  EXPECT_TRUE(map.has_centre(1.0, 2.0, 5, -1.0F));
  map.at(0, 1, 3) = 1.0F;
  map.at(0, 1, 1) = std::numeric_limits<float>::infinity();
  EXPECT_TRUE(map.has_centre(1.0, 2.0, 5));
  map.at(0, 1, 0) = 1.5F;
  EXPECT_TRUE(map.has_centre(1.0, 4.0 / 3.0, 5));
}

// A probability is worth its whole 2^-24ths: the second has one more than the first, the third none.
TEST(HeartLocalization, ProbabilitiesAreQuantized) {
  Map map(1, 1, 9);
  map.at(0, 0, 1) = 0x1p-24F;
  map.at(0, 0, 5) = 0x1.fffffep-24F;
  EXPECT_TRUE(map.has_centre(0.0, 1.0, 1, 0.0F));
  map.at(0, 0, 5) = 0x1p-23F;
  EXPECT_TRUE(map.has_centre(0.0, 5.0, 1, 0.0F));
  map.at(0, 0, 1) = map.at(0, 0, 5) = 0x1.fffffep-25F;
  EXPECT_TRUE(map.has_centre(0.0, 4.0, 1, 0.0F));
}

TEST(HeartLocalization, EachStackHasItsOwnCenter) {
  const std::vector<float> two{0, 1, 0, 0, 0, 1};
  std::vector<CropOrigin> found(2);
  heart_localization(two, {2, 1, 1, 3, 1, 3}, {0.5F, 3, 1, 1, 1}, found);
  EXPECT_EQ(found[0].row, 0);
  EXPECT_EQ(found[0].column, 1);
  EXPECT_EQ(found[1].row, 0);
  EXPECT_EQ(found[1].column, 2);
}

TEST(HeartLocalization, CropStartRoundsHalfAPixelUp) {
  EXPECT_EQ(crop_start(4.5, 1.0, 10), 0);
  EXPECT_EQ(crop_start(5.0, 1.0, 10), 1);
  EXPECT_EQ(crop_start(0.0, 1.0, 10), -4);
  EXPECT_EQ(crop_start(26.5, 4.0 / 1.5, 144), 0);
  EXPECT_EQ(crop_start(30.0, 4.0 / 1.5, 144), 9);
  EXPECT_EQ(middle_start(10, 1.0, 10), 0);
  EXPECT_EQ(middle_start(11, 1.0, 8), 2);
}

TEST(HeartLocalization, WrongInputIsRefused) {
  const std::vector<float> map(12);
  std::vector<CropOrigin> found(1);
  const auto refuses = [&](const HeartMaps& maps, const HeartLocalizationRules& rules, const std::string& text) {
    EXPECT_THROW_MESSAGE(heart_localization(map, maps, rules, found), std::invalid_argument, text);
  };
  const HeartMaps good{1, 1, 3, 4, 3, 4};
  const HeartLocalizationRules rules{0.5F, 3, 1, 2, 2};
  refuses({1, 1, 3, 5, 3, 4}, rules, "maps of heart_localization: expected 15 values, got 12");
  refuses({2, 1, 3, 2, 3, 2}, rules, "origins of heart_localization: expected 2 values, got 1");
  refuses({0, 1, 3, 4, 3, 4}, rules, "maps of heart_localization: expected extents of 1");
  refuses({1, 1, 3, 4, 4, 4}, rules, "at most the map's 3 x 4 pixels, got 4 x 4");
  refuses({1, 1, 3, 4, 3, 0}, rules, "grid of heart_localization");
  refuses(good, {0.5F, 0, 1, 2, 2}, "window of heart_localization");
  refuses(good, {0.5F, 3, 0, 2, 2}, "ratio of heart_localization: expected one above 0");
  refuses(good, {0.5F, 3, std::nan(""), 2, 2}, "ratio of heart_localization");
  refuses(good, {0.5F, 3, 1e9, 2, 2}, "fewer than 2^31 pixels");
  refuses(good, {0.5F, 3, 1, 0, 2}, "crop of heart_localization");
  refuses({1, 1 << 20, 2048, 2048, 2048, 2048}, {0.5F, 2048, 1, 2, 2}, "fewer than 2^40");
  refuses({1, 1, 1 << 15, 1 << 15, 1 << 15, 1 << 15}, rules, "fewer than 2^30 pixels");
}

}  // namespace cardiacseg::ops
