#include <cstddef>
#include <limits>
#include <vector>

#include "check.h"
#include "ops/resample.h"

namespace cardiacseg::ops {
namespace {

std::vector<float> resampled(const std::vector<float>& input, const ResampleGeometry& geometry) {
  const auto rows = resampled_length(geometry.rows, geometry.row_spacing, geometry.target);
  const auto columns = resampled_length(geometry.columns, geometry.column_spacing, geometry.target);
  std::vector<float> output(static_cast<std::size_t>(geometry.planes * rows * columns), -1.0F);
  resample(input, geometry, output);
  return output;
}

void check_values(const std::vector<float>& values, const std::vector<double>& wanted) {
  CHECK(values.size() == wanted.size());
  for (std::size_t i = 0; i < wanted.size() && i < values.size(); ++i) CHECK_NEAR(values[i], wanted[i], 1e-5);
}

}  // namespace

TEST(length_rounds_and_is_at_least_one) {
  CHECK(resampled_length(256, 1.5, 1.5) == 256);
  CHECK(resampled_length(100, 1.4, 1.5) == 93);  // 93.3
  CHECK(resampled_length(10, 1.5, 4.0) == 4);    // 3.75
  CHECK(resampled_length(5, 1.0, 2.0) == 2);     // 2.5: ties go to even, as in Python
  CHECK(resampled_length(7, 1.0, 2.0) == 4);     // 3.5
  CHECK(resampled_length(1, 0.1, 4.0) == 1);
}

TEST(same_spacing_keeps_every_value) {
  const std::vector<float> input{1, -2, 3, 4, 5, 1e6F};
  CHECK(resampled(input, {1, 2, 3, 1.5, 1.5, 1.5}) == input);
  CHECK(resampled({7}, {1, 1, 1, 1.5, 1.5, 1.5}) == std::vector<float>{7});
}

// Twice as many pixels: centres at -0.25, 0.25, 0.75, 1.25 of pixels 0 and 1; the edge pixels alone make the outer two.
TEST(doubling_interpolates_linearly) { check_values(resampled({0, 4}, {1, 1, 2, 1, 2, 1}), {0, 1, 3, 4}); }

// Half as many: a triangle of half width 2 round 1.0, 3.0, 5.0 (pixel centres at 0.5, 1.5, ...): weights 1/4, 3/4, 3/4,
// 1/4 over their sum; 3/4, 3/4, 1/4 over 7/4 at the edges. Values 0, 8, 16, 24, 32, 40:
// (0 * 3 + 8 * 3 + 16) / 7 = 40 / 7; (8 + 3 * 16 + 3 * 24 + 32) / 8 = 20; (24 + 3 * 32 + 3 * 40) / 7 = 240 / 7.
TEST(halving_widens_the_triangle) {
  check_values(resampled({0, 8, 16, 24, 32, 40}, {1, 1, 6, 2, 1, 2}), {40.0 / 7, 20, 240.0 / 7});
}

// 5 pixels of 1 mm are 2 (2.5, to even) of 2 mm: centres 1 and 3 of 0..5. Values 7, 7, 7, 7, 14:
// (2.5, 3.5 weigh 3/4; 1.5, 4.5 weigh 1/4): (7 + 21 + 21 + 14) / 8 = 7.875.
TEST(odd_length_drops_the_last_half_pixel) {
  check_values(resampled({7, 7, 7, 7, 14}, {1, 5, 1, 1, 2, 2}), {7, 7.875});
}

// Rows double (spacing 2 -> 1), columns halve (0.5 -> 1). Columns first by hand: 4 pixels a, b, c, d become
// (3a + 3b + c) / 7 and (b + 3c + 3d) / 7. Row 0: 0 0 7 0 -> 1, 3; row 1: 7 0 0 14 -> 3, 6.
// Rows then mix as 1, 3/4 : 1/4, 1/4 : 3/4, 1.
TEST(axes_have_their_own_spacing) {
  check_values(resampled({0, 0, 7, 0, 7, 0, 0, 14}, {1, 2, 4, 2, 0.5, 1}), {1, 3, 1.5, 3.75, 2.5, 5.25, 3, 6});
}

TEST(planes_are_independent) {
  check_values(resampled({0, 4, 10, 10}, {2, 1, 2, 1, 2, 1}), {0, 1, 3, 4, 10, 10, 10, 10});
}

TEST(constant_stays_constant_at_any_ratio) {
  for (const double spacing : {0.3, 0.7, 1.37, 1.5, 4.0}) {
    for (const float value : resampled(std::vector<float>(7 * 5, 3.0F), {1, 7, 5, spacing, 1.1 * spacing, 1.5})) {
      CHECK_NEAR(value, 3, 1e-6);
    }
  }
}

TEST(one_pixel_for_a_small_image_is_its_weighted_mean) {
  // Half width 10, centre 5: weights 1 - 4.5 / 10 and 1 - 3.5 / 10, so (0 * 0.55 + 12 * 0.65) / 1.2 = 6.5.
  check_values(resampled({0, 12}, {1, 1, 2, 10, 1, 10}), {6.5});
}

TEST(infinity_does_not_spread_where_its_weight_is_zero) {
  const float infinity = std::numeric_limits<float>::infinity();
  CHECK(resampled({1, infinity, 3}, {1, 1, 3, 1, 1, 1}) == (std::vector<float>{1, infinity, 3}));
}

TEST(wrong_sizes_and_spacings_are_refused) {
  std::vector<float> four(4);
  std::vector<float> none;
  CHECK_THROWS(resample(none, {1, 0, 4, 1, 1, 1}, four), std::invalid_argument, "got 0");
  CHECK_THROWS(resample(none, {1, 2, 2, 1, 1, 1}, four), std::invalid_argument, "input of resample: wanted 4 values");
  CHECK_THROWS(resample(four, {1, 2, 2, 1, 1, 2}, four), std::invalid_argument, "output of resample: wanted 1 values");
  CHECK_THROWS(resample(four, {1, 1LL << 62, 1LL << 62, 1, 1, 1}, four), std::invalid_argument, "fit in memory");
  for (const double wrong :
       {0.0, -1.0, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(), 1e-320}) {
    CHECK_THROWS(resampled_length(4, wrong, 1.5), std::invalid_argument, "pixel sizes");
    CHECK_THROWS(resampled_length(4, 1.5, wrong), std::invalid_argument, "pixel sizes");
  }
  CHECK_THROWS(resampled_length(1 << 20, 1e6, 1.0), std::invalid_argument, "too many");
}

}  // namespace cardiacseg::ops
