#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <vector>

#include "cardiacseg/measurements.h"
#include "measure/ring.h"
#include "synthetic_heart.h"

namespace cardiacseg {
namespace {

using test::degrees_past;
using test::draw;
using test::DrawnSlice;
using test::radians;
using test::round;

constexpr CineShape kOne{1, 1, 80, 100};
constexpr Spacing kSpacing{8, 1.3, 1.0};  // pixels are not square

/// The center lies between pixels.
DrawnSlice ring(double inner_mm, double outer_mm) { return {52.3, 49.6, round(inner_mm), round(outer_mm)}; }

struct Drawing {
  std::vector<std::uint8_t> labels;
  LabelSlice slice() const { return {labels.data(), kOne.rows, kOne.columns, kSpacing.row, kSpacing.column}; }
};

Drawing drawn(const DrawnSlice& slice) {
  Drawing drawing;
  draw(drawing.labels, kOne, kSpacing, slice);
  return drawing;
}

double mean_thickness(const Ring& ring) {
  double sum = 0;
  for (const double millimetres : ring.thickness_mm) sum += millimetres;
  return sum / kRays;
}

/// Degrees between two directions.
double apart(double a, double b) { return std::min(degrees_past(a, b, 1), degrees_past(b, a, 1)); }

}  // namespace

TEST(WallThickness, ThicknessOfARoundWall) {
  for (const auto& [inner, outer] : {std::array{20.0, 30.0}, std::array{22.0, 27.0}, std::array{6.0, 14.0}}) {
    const auto found = trace_ring(drawn(ring(inner, outer)).slice());
    EXPECT_TRUE(found.has_value());
    EXPECT_NEAR(mean_thickness(*found), outer - inner, 0.15);
    for (int ray = 0; ray < kRays; ray += 15) {
      EXPECT_NEAR(found->thickness_mm[static_cast<std::size_t>(ray)], outer - inner, 1.3);
    }
  }
}

// The cavity lies 3 mm beside the middle of a circle of 30 mm: the wall is 7 to 13 mm thick.
TEST(WallThickness, ThicknessOfAnEccentricWall) {
  DrawnSlice slice = ring(20, 30);
  slice.outer_mm = [](double angle) {
    const double a = radians(angle);
    return -3 * std::cos(a) + std::sqrt(900 - 9 * std::sin(a) * std::sin(a));
  };
  const auto found = trace_ring(drawn(slice).slice());
  EXPECT_NEAR(found->thickness_mm[0], 7, 0.7);
  EXPECT_NEAR(found->thickness_mm[180], 13, 0.7);
  EXPECT_NEAR(mean_thickness(*found), 10, 0.2);
}

// Two squares of 40 and 56 mm round one center: along a diagonal ray the wall is longer than it is thick, 8 mm. At the
// corners the middle's direction turns, so that only rays 20 degrees or more away from these are looked at.
TEST(WallThickness, ThicknessIsPerpendicularToTheWall) {
  const auto square = [](double half_mm) {
    return [half_mm](double angle) {
      return half_mm / std::max(std::abs(std::cos(radians(angle))), std::abs(std::sin(radians(angle))));
    };
  };
  DrawnSlice slice = ring(0, 0);
  slice.inner_mm = square(20);
  slice.outer_mm = square(28);
  const auto found = trace_ring(drawn(slice).slice());
  for (const int ray : {0, 15, 25, 75, 90, 115, 165, 180, 200, 285, 340}) {
    EXPECT_NEAR(found->thickness_mm[static_cast<std::size_t>(ray)], 8, 0.75);
  }
}

TEST(WallThickness, WallWithAGapIsNoRing) {
  DrawnSlice slice = ring(20, 28);
  slice.open_degrees = 15;
  const auto nearly_closed = trace_ring(drawn(slice).slice());
  EXPECT_TRUE(nearly_closed.has_value());
  EXPECT_TRUE(!nearly_closed->walled[7] && nearly_closed->thickness_mm[7] == 0);
  EXPECT_NEAR(nearly_closed->thickness_mm[180], 8, 0.7);
  slice.open_degrees = 25;
  EXPECT_FALSE(trace_ring(drawn(slice).slice()));
}

TEST(WallThickness, NoRingWithoutACavityOrAroundAnotherStructure) {
  EXPECT_FALSE(trace_ring(drawn(ring(0, 20)).slice()));
  EXPECT_FALSE(trace_ring(drawn(ring(20, 20)).slice()));
  Drawing drawing = drawn(ring(20, 28));
  for (std::uint8_t& label : drawing.labels) label = label == 3 ? 1 : label;
  EXPECT_FALSE(trace_ring(drawing.slice()));
}

// A muscle inside of the cavity is not the wall.
TEST(WallThickness, IslandInTheCavityIsIgnored) {
  Drawing drawing = drawn(ring(20, 28));
  for (std::size_t column = 55; column < 60; ++column) drawing.labels[40 * 100 + column] = 2;
  EXPECT_NEAR(mean_thickness(*trace_ring(drawing.slice())), 8, 0.15);
}

TEST(WallThickness, HeartAtTheImageBorderIsMeasuredToTheBorder) {
  DrawnSlice slice = ring(20, 28);
  slice.column_mm = 75;
  EXPECT_NEAR(trace_ring(drawn(slice).slice())->thickness_mm[0], 99.5 - 75 - 20, 0.7);
}

TEST(WallThickness, SeptumLiesBetweenTheInsertions) {
  for (int first = 0; first < 360; first += 24) {
    DrawnSlice slice = ring(20, 28);
    slice.rv_first = first;
    slice.rv_degrees = 110;
    const auto found = trace_ring(drawn(slice).slice());
    const double last = first + 110;
    const auto septum = find_septum(*found, {std::sin(radians(first)), std::cos(radians(first))});
    EXPECT_TRUE(septum->turn == 1 && apart(septum->ray, first) < 4);
    EXPECT_NEAR(septum->degrees, 110, 7);
    const auto other = find_septum(*found, {std::sin(radians(last)), std::cos(radians(last))});
    EXPECT_TRUE(other->turn == -1 && apart(other->ray, last) < 4);
  }
}

TEST(WallThickness, InterruptedSeptumIsOneAndATouchIsNone) {
  Ring found;
  for (int ray = 350; ray < 480; ++ray) found.beside_rv[static_cast<std::size_t>(ray % kRays)] = ray < 400 || ray > 412;
  found.beside_rv[200] = true;
  const auto septum = find_septum(found, {-1, 0});
  EXPECT_TRUE(septum->ray == 350 && septum->turn == 1 && septum->degrees == 130);
  Ring touched;
  std::fill_n(touched.beside_rv.begin(), 19, true);
  EXPECT_FALSE(find_septum(touched, {-1, 0}));
  touched.beside_rv.fill(true);
  EXPECT_FALSE(find_septum(touched, {-1, 0}));
  EXPECT_FALSE(find_septum(Ring{}, {-1, 0}));
}

}  // namespace cardiacseg
