#include <vector>

#include "check.h"
#include "pipeline/heart_centre.h"

namespace cardiacseg {
namespace {

/// A map `[slices, rows, columns]` that is 0 but for the pixels that a test sets.
struct Map {
  explicit Map(const Grid& extent) : grid(extent), values(static_cast<std::size_t>(extent.voxels()), 0.0F) {}

  float& at(std::int64_t slice, std::int64_t row, std::int64_t column) {
    return values[static_cast<std::size_t>((slice * grid.rows + row) * grid.columns + column)];
  }

  PlanePoint centre(std::int64_t window) const { return heart_centre(values, grid, grid, window, 0.5F); }

  Grid grid;
  std::vector<float> values;
};

void check_point(const PlanePoint& point, double row, double column) {
  CHECK_NEAR(point.row, row, 1e-12);
  CHECK_NEAR(point.column, column, 1e-12);
}

TEST(nothing_at_the_threshold_gives_the_middle) {
  Map map({2, 5, 8});
  map.at(0, 0, 0) = 0.49F;
  check_point(map.centre(3), 2.0, 3.5);
}

TEST(centroid_is_weighted_and_summed_over_slices) {
  Map map({2, 6, 9});
  map.at(0, 2, 3) = 0.5F;
  map.at(1, 2, 3) = 1.0F;
  map.at(1, 3, 5) = 0.5F;
  check_point(map.centre(4), 2.25, 3.5);
}

TEST(the_heaviest_window_wins_over_a_far_blob) {
  Map map({1, 10, 12});
  map.at(0, 1, 1) = 1.0F;
  map.at(0, 7, 9) = 0.75F;
  map.at(0, 8, 9) = 0.75F;
  check_point(map.centre(3), 7.5, 9.0);
}

TEST(the_first_of_two_equal_windows_wins) {
  Map map({1, 4, 20});
  map.at(0, 1, 2) = 1.0F;
  map.at(0, 1, 17) = 1.0F;
  check_point(map.centre(3), 1.0, 2.0);
}

TEST(a_window_larger_than_the_map_takes_all_of_it) {
  Map map({1, 3, 5});
  map.at(0, 0, 0) = 1.0F;
  map.at(0, 2, 4) = 1.0F;
  check_point(map.centre(100), 1.0, 2.0);
}

TEST(the_padding_is_not_looked_at) {
  Map map({2, 5, 8});
  for (float& value : map.values) value = 1.0F;
  const Grid inside{2, 3, 6};
  check_point(heart_centre(map.values, map.grid, inside, 100, 0.5F), 1.0, 2.5);
  for (std::int64_t row = 0; row < inside.rows; ++row) {
    for (std::int64_t column = 0; column < inside.columns; ++column) {
      map.at(0, row, column) = map.at(1, row, column) = 0.0F;
    }
  }
  check_point(heart_centre(map.values, map.grid, inside, 3, 0.5F), 1.0, 2.5);  // nothing: the middle of the inside
  map.at(1, 2, 4) = 0.75F;
  check_point(heart_centre(map.values, map.grid, inside, 3, 0.5F), 2.0, 4.0);
}

TEST(crop_origin_rounds_half_a_pixel_up) {
  CHECK(crop_origin(4.5, 1.0, 10) == 0);
  CHECK(crop_origin(5.0, 1.0, 10) == 1);
  CHECK(crop_origin(0.0, 1.0, 10) == -4);
  CHECK(crop_origin(26.5, 4.0 / 1.5, 144) == 0);
  CHECK(crop_origin(30.0, 4.0 / 1.5, 144) == 9);
}

}  // namespace
}  // namespace cardiacseg
