#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "check.h"
#include "ops/normalize.h"

namespace cardiacseg::ops {
namespace {

void check_range(const std::vector<float>& values, double lower, double upper, const IntensityRange& wanted) {
  const IntensityRange range = percentile_range(values, lower, upper);
  CHECK_NEAR(range.low, wanted.low, 1e-6);
  CHECK_NEAR(range.high, wanted.high, 1e-6);
}

}  // namespace

// Sorted 1, 2, 4, 8, 16; position of percentile p is p / 100 * 4.
TEST(percentiles_interpolate_between_ranks) {
  const std::vector<float> values{8, 1, 16, 4, 2};
  check_range(values, 0, 100, {1, 16});
  check_range(values, 25, 50, {2, 4});
  check_range(values, 10, 90, {1.4F, 12.8F});  // positions 0.4 and 3.6
  check_range(values, 30, 35, {2.4F, 2.8F});   // both between ranks 1 and 2
}

TEST(even_count_and_negative_values) { check_range({-4, 4, 0, 12}, 50, 75, {2, 6}); }  // positions 1.5 and 2.25

TEST(ranks_agree_with_sorting_a_large_array) {
  std::vector<float> values(20011);
  std::uint32_t state = 1;
  for (float& value : values) {
    state = state * 1664525U + 1013904223U;
    value = static_cast<float>(state >> 12U) - 300000.0F;
  }
  std::vector<float> sorted = values;
  std::sort(sorted.begin(), sorted.end());
  // 20010 steps between the ranks: 1 % and 99 % lie at 200.1 and 19809.9.
  const auto at = [&sorted](std::size_t rank, float share) {
    return sorted[rank] + share * (sorted[rank + 1] - sorted[rank]);
  };
  const IntensityRange range = percentile_range(values, 1, 99);
  CHECK_NEAR(range.low, at(200, 0.1F), 0.5);
  CHECK_NEAR(range.high, at(19809, 0.9F), 0.5);
}

TEST(equal_percentiles_fall_back_to_the_extremes) {
  check_range({5, 5, 5, 5, 5, 5, 5, 5, 5, 1, 9}, 20, 80, {1, 9});
  check_range({5, 5, 5}, 1, 99, {5, 5});
  check_range({3}, 1, 99, {3, 3});
  check_range({1, 2, 3}, 50, 50, {1, 3});
}

TEST(normalize_maps_and_clips) {
  std::vector<float> values{10, 12, 15, 20, 9, 1e30F, -1e30F};
  normalize(values, {10, 20});
  const std::vector<double> wanted{0, 0.2, 0.5, 1, 0, 1, 0};
  for (std::size_t i = 0; i < wanted.size(); ++i) CHECK_NEAR(values[i], wanted[i], 1e-6);
}

TEST(normalize_of_an_empty_range_is_zero) {
  std::vector<float> values{4, 5, 6};
  normalize(values, {5, 5});
  CHECK(values == std::vector<float>(3, 0.0F));
}

TEST(normalize_bears_the_widest_and_the_narrowest_range) {
  const float largest = std::numeric_limits<float>::max();
  const float smallest = std::numeric_limits<float>::denorm_min();
  std::vector<float> values{-largest, 0, largest};
  normalize(values, {-largest, largest});
  CHECK(values == (std::vector<float>{0, 0.5F, 1}));
  values = {0, smallest};
  normalize(values, {0, smallest});
  CHECK(values == (std::vector<float>{0, 1}));
}

TEST(what_cannot_be_is_refused) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  std::vector<float> values{1, 2};
  CHECK_THROWS(percentile_range({}, 1, 99), std::invalid_argument, "at least one value");
  CHECK_THROWS(percentile_range(values, 99, 1), std::invalid_argument, "99");
  CHECK_THROWS(percentile_range(values, -1, 50), std::invalid_argument, "0 <= lower");
  CHECK_THROWS(percentile_range(values, 1, 100.5), std::invalid_argument, "100.5");
  CHECK_THROWS(percentile_range(std::vector<float>{1, nan}, 1, 99), std::invalid_argument, "finite");
  CHECK_THROWS(percentile_range(std::vector<float>{1, infinity}, 1, 99), std::invalid_argument, "finite");
  CHECK_THROWS(normalize(values, {2, 1}), std::invalid_argument, "low <= high");
  CHECK_THROWS(normalize(values, {nan, 1}), std::invalid_argument, "finite");
}

}  // namespace cardiacseg::ops
