#include <cstddef>
#include <limits>
#include <vector>

#include "check.h"
#include "ops/crop_pad.h"

namespace cardiacseg::ops {
namespace {

/// 2 planes of 2 rows and 3 columns.
const std::vector<float> kInput{1, 2, 3, 4, 5, 6, 10, 20, 30, 40, 50, 60};

std::vector<float> cropped(const Window& window) {
  std::vector<float> output(static_cast<std::size_t>(2 * window.rows * window.columns), -1.0F);
  crop_pad(kInput, 2, 2, 3, window, output);
  return output;
}

}  // namespace

TEST(whole_window_copies) { CHECK(cropped({0, 0, 2, 3}) == kInput); }

TEST(window_inside_cuts) { CHECK(cropped({1, 1, 1, 2}) == (std::vector<float>{5, 6, 50, 60})); }

TEST(negative_origin_pads_above_and_left) {
  CHECK(cropped({-1, -2, 2, 3}) == (std::vector<float>{0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 10}));
}

TEST(far_end_pads_below_and_right) { CHECK(cropped({1, 2, 2, 2}) == (std::vector<float>{6, 0, 0, 0, 60, 0, 0, 0})); }

TEST(larger_window_pads_all_round) {
  CHECK(cropped({-1, -1, 4, 5}) ==
        (std::vector<float>{0, 0, 0, 0, 0, 0, 1,  2,  3,  0, 0, 4,  5,  6,  0, 0, 0, 0, 0, 0,
                            0, 0, 0, 0, 0, 0, 10, 20, 30, 0, 0, 40, 50, 60, 0, 0, 0, 0, 0, 0}));
}

TEST(window_outside_is_zero) {
  const std::vector<float> zeros(2 * 2 * 2, 0.0F);
  constexpr std::int64_t lowest = std::numeric_limits<std::int64_t>::min();
  constexpr std::int64_t highest = std::numeric_limits<std::int64_t>::max();
  for (const std::int64_t away : {lowest, std::int64_t{-2}, std::int64_t{3}, highest}) {
    CHECK(cropped({away, 0, 2, 2}) == zeros);
    CHECK(cropped({0, away, 2, 2}) == zeros);
  }
}

TEST(wrong_sizes_are_refused) {
  std::vector<float> four(4);
  CHECK_THROWS(crop_pad({}, 0, 2, 2, {0, 0, 2, 2}, four), std::invalid_argument, "input of crop_pad");
  CHECK_THROWS(crop_pad(four, 1, 2, 3, {0, 0, 2, 2}, four), std::invalid_argument, "wanted 6 values, got 4");
  CHECK_THROWS(crop_pad(four, 1, 2, 2, {0, 0, 2, 3}, four), std::invalid_argument, "output of crop_pad: wanted 6");
  CHECK_THROWS(crop_pad(four, 1, 2, 2, {0, 0, -2, -2}, four), std::invalid_argument, "1 or more");
}

}  // namespace cardiacseg::ops
