#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <vector>

#include "cardiacseg/measurements.h"
#include "synthetic_heart.h"

namespace cardiacseg {
namespace {

using test::degrees_past;
using test::DrawnSlice;
using test::radians;
using test::round;

constexpr Spacing kSpacing{8, 1.0, 1.2};

/// Thickness in mm of segments 1 to 16; neighbors differ.
constexpr std::array<double, 16> kWanted{8,   6.5, 5,   6.5, 8,   9.5,  // base
                                         9.5, 8,   6.5, 5,   6.5, 8,    // middle
                                         7,   5,   7,   9};             // apex

/// A heart of 3 slices whose segments have the thickness of kWanted, in one orientation.
struct Heart {
  double insertion = 220;  ///< angle of the anterior insertion
  int turn = -1;           ///< which way the septum lies from there
  bool base_first = true;
  double rv_degrees = 120;
  double thicker_mm = 0;

  double thickness(int level, double angle) const {
    const double past = degrees_past(insertion, angle, turn);
    const int segment = level < 2 ? 6 * level + (static_cast<int>(past / 60) + 1) % 6
                                  : 12 + (static_cast<int>(degrees_past(15, past, 1) / 90) + 1) % 4;
    return kWanted[static_cast<std::size_t>(segment)] + thicker_mm;
  }

  DrawnSlice slice(int level, double cavity_mm, bool with_rv) const {
    const double first = turn > 0 ? insertion : insertion - rv_degrees;
    return {50.4,
            60.3,
            round(cavity_mm),
            [=, this](double angle) { return cavity_mm + thickness(level, angle); },
            first,
            with_rv ? rv_degrees : 0.0};
  }
};

/// Appends one frame.
void draw_heart(std::vector<std::uint8_t>& labels, const CineShape& shape, const Heart& heart) {
  for (int place = 0; place < 3; ++place) {
    const int level = heart.base_first ? place : 2 - place;
    test::draw(labels, shape, kSpacing, heart.slice(level, 26 - 3 * level, level < 2));
  }
}

constexpr CineShape kFrame{1, 3, 100, 100};
constexpr CineShape kTwoFrames{2, 3, 100, 100};

std::array<double, 2> towards(double angle) { return {std::sin(radians(angle)), std::cos(radians(angle))}; }

void check_segments(const std::array<double, 16>& found, double thicker_mm = 0) {
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], kWanted[i] + thicker_mm, 0.45);
}

}  // namespace

// The apex has no right ventricle: it takes the middle's insertion.
TEST(WallSegments, SegmentsAreNumberedFromTheAnteriorInsertionThroughTheSeptum) {
  for (int insertion = 0; insertion < 360; insertion += 40) {
    for (const int turn : {1, -1}) {
      std::vector<std::uint8_t> labels;
      draw_heart(labels, kFrame, {.insertion = static_cast<double>(insertion), .turn = turn});
      const auto wall = measure({labels.data(), kFrame, kSpacing}, {}, {.anterior = towards(insertion)}).wall;
      check_segments(wall->ed_mm);
      EXPECT_TRUE(std::isnan(wall->es_mm[0]) && std::isnan(wall->thickening_percent[15]));
    }
  }
}

TEST(WallSegments, EitherEndMayBeTheBase) {
  std::vector<std::uint8_t> labels;
  draw_heart(labels, kFrame, {.base_first = false});
  const auto found = measure({labels.data(), kFrame, kSpacing});
  EXPECT_EQ(found.base_first, false);
  check_segments(found.wall->ed_mm);
}

TEST(WallSegments, ThickeningIsTheGrowthFromEdToEs) {
  std::vector<std::uint8_t> labels;
  draw_heart(labels, kFrame, {});
  const Heart contracted{.thicker_mm = 3};
  for (int level = 0; level < 3; ++level) {
    test::draw(labels, kFrame, kSpacing, contracted.slice(level, 20 - 3 * level, level < 2));
  }
  const auto found = measure({labels.data(), kTwoFrames, kSpacing});
  EXPECT_EQ(found.es_frame, 1);
  check_segments(found.wall->ed_mm);
  check_segments(found.wall->es_mm, 3);
  EXPECT_NEAR(found.wall->thickening_percent[2], 60, 9);
}

TEST(WallSegments, ExcludedSlicesAndMissingLevelsHaveNoSegments) {
  std::vector<std::uint8_t> labels;
  draw_heart(labels, kFrame, {});
  const std::array<std::uint8_t, 9> no_apex{1, 1, 1, 1, 1, 1, 1, 0, 1};
  const auto wall = measure({labels.data(), kFrame, kSpacing}, {}, {.included = no_apex}).wall;
  EXPECT_NEAR(wall->ed_mm[11], kWanted[11], 0.45);
  for (std::size_t apical = 12; apical < 16; ++apical) EXPECT_TRUE(std::isnan(wall->ed_mm[apical]));
}

// Towards the apex the right ventricle tapers off: here its 40 degrees lie at the far end of the septum.
TEST(WallSegments, SmallFragmentOfTheRvMovesNoSegment) {
  const Heart heart;
  std::vector<std::uint8_t> labels;
  for (int level = 0; level < 3; ++level) {
    DrawnSlice slice = heart.slice(level, 26 - 3 * level, true);
    if (level == 2) slice.rv_degrees = 40;
    test::draw(labels, kFrame, kSpacing, slice);
  }
  check_segments(measure({labels.data(), kFrame, kSpacing}).wall->ed_mm);
}

TEST(WallSegments, NoSegmentsWithoutRvOrRing) {
  std::vector<std::uint8_t> labels;
  draw_heart(labels, kFrame, {.rv_degrees = 0});
  EXPECT_FALSE(measure({labels.data(), kFrame, kSpacing}).wall);
  std::fill(labels.begin(), labels.end(), std::uint8_t{0});
  const auto found = measure({labels.data(), kFrame, kSpacing});
  EXPECT_FALSE(found.wall);
  EXPECT_FALSE(found.base_first);
}

}  // namespace cardiacseg
