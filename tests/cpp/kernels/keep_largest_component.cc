#include "ops/keep_largest_component.h"

#include <random>
#include <string>

#include "check.h"
#include "device_array.h"
#include "ops/keep_largest_component_cuda.h"
#include "reference_keep_largest_component.h"

namespace cardiacseg::ops {
namespace {

using test::DeviceArray;
using test::Labels;
using test::Plane;

std::int64_t slices_of(const Labels& labels, const Plane& plane) {
  return static_cast<std::int64_t>(labels.size()) / (plane.rows * plane.columns);
}

Labels on_host(Labels labels, const Plane& plane, int threads) {
  const Labels before = labels;
  const std::int64_t changed =
      keep_largest_component(labels, slices_of(labels, plane), plane.rows, plane.columns, threads);
  std::int64_t differ = 0;
  for (std::size_t pixel = 0; pixel < labels.size(); ++pixel) differ += labels[pixel] != before[pixel];
  CHECK(changed == differ);
  return labels;
}

/// With `shift` bytes before the first label.
Labels on_device(const Labels& labels, const Plane& plane, std::size_t shift = 0) {
  Labels shifted(shift, 9);
  shifted.insert(shifted.end(), labels.begin(), labels.end());
  const DeviceArray<std::uint8_t> memory(shifted);
  const std::int64_t slices = slices_of(labels, plane);
  const DeviceArray<std::uint8_t> workspace(keep_largest_component_workspace(slices, plane.rows, plane.columns));
  keep_largest_component_cuda(memory.data() + shift, slices, plane.rows, plane.columns, workspace.data(), nullptr);
  Labels found = memory.values();
  CHECK(std::all_of(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(shift),
                    [](int byte) { return byte == 9; }));
  found.erase(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(shift));
  return found;
}

void check_keep_largest_component(const Labels& labels, const Plane& plane) {
  const Labels wanted = test::reference_keep_largest_component(labels, plane);
  const std::string what = std::to_string(slices_of(labels, plane)) + " slices of " + std::to_string(plane.rows) +
                           " x " + std::to_string(plane.columns);
  test::report(on_host(labels, plane, 1) == wanted, "host: " + what, __FILE__, __LINE__);
  test::report(on_host(labels, plane, 3) == wanted, "host, 3 threads: " + what, __FILE__, __LINE__);
  test::report(on_device(labels, plane) == wanted, "device: " + what, __FILE__, __LINE__);
  if (plane.rows * plane.columns % 16 > 0) return;  // then no slice but the first is aligned anyway
  test::report(on_device(labels, plane, 1) == wanted, "device, not aligned: " + what, __FILE__, __LINE__);
}

/// `label(row, column)` for each pixel of one slice.
template <class Label>
Labels slice_of(const Plane& plane, const Label& label) {
  Labels labels;
  for (std::int64_t row = 0; row < plane.rows; ++row) {
    for (std::int64_t column = 0; column < plane.columns; ++column) {
      labels.push_back(static_cast<std::uint8_t>(label(static_cast<int>(row), static_cast<int>(column))));
    }
  }
  return labels;
}

/// Noise of which a share is labelled, each pixel by itself or like one of its neighbors before.
Labels noise(const Plane& plane, std::mt19937& random) {
  const auto labelled = random() % 101;
  const auto alike = random() % 100;
  const auto structures = 1 + random() % 3;
  Labels labels;
  for (std::int64_t pixel = 0; pixel < plane.rows * plane.columns; ++pixel) {
    const std::int64_t before = random() % 2 == 0 ? pixel - 1 : pixel - plane.columns;
    if (before >= 0 && random() % 100 < alike) {
      labels.push_back(labels[static_cast<std::size_t>(before)]);
    } else {
      labels.push_back(static_cast<std::uint8_t>(random() % 100 < labelled ? 1 + random() % structures : 0));
    }
  }
  return labels;
}

/// Sets all outside of a random box to background.
void keep_box(Labels& labels, const Plane& plane, std::mt19937& random) {
  const auto up_to = [&](std::int64_t most) { return static_cast<std::int64_t>(random()) % most; };
  const std::int64_t top = up_to(plane.rows);
  const std::int64_t left = up_to(plane.columns);
  const std::int64_t bottom = top + 1 + up_to(plane.rows - top);
  const std::int64_t right = left + 1 + up_to(plane.columns - left);
  for (std::int64_t pixel = 0; pixel < plane.rows * plane.columns; ++pixel) {
    const std::int64_t row = pixel / plane.columns;
    const std::int64_t column = pixel % plane.columns;
    const bool inside = row >= top && row < bottom && column >= left && column < right;
    if (!inside) labels[static_cast<std::size_t>(pixel)] = 0;
  }
}

}  // namespace

TEST(anything_is_cleaned_as_by_reference) {
  const unsigned cases = test::watched() ? 20 : 100;
  for (unsigned seed = 0; seed < cases; ++seed) {
    std::mt19937 random(seed);
    const Plane plane{1 + static_cast<std::int64_t>(random() % 30), 1 + static_cast<std::int64_t>(random() % 75)};
    Labels labels;
    for (auto slices = 1 + random() % 2; slices > 0; --slices) {
      Labels slice = noise(plane, random);
      if (random() % 2 == 0) keep_box(slice, plane, random);
      labels.insert(labels.end(), slice.begin(), slice.end());
    }
    check_keep_largest_component(labels, plane);
  }
}

// These do not fit in a CTA's own memory.
TEST(large_slices_use_the_workspace) {
  std::mt19937 random(1);
  const Plane plane{112, 128};
  for (int slice = 0; slice < 4; ++slice) check_keep_largest_component(noise(plane, random), plane);
  check_keep_largest_component(slice_of({104, 96}, [](int row, int column) { return 1 + (row / 3 + column / 5) % 3; }),
                               {104, 96});
}

// Regions whose pixels find their root over long ways, and one hole of two that wind round each other.
TEST(snakes_and_spirals) {
  const Plane plane{41, 64};
  for (const int label : {1, 2, 3}) {
    check_keep_largest_component(
        slice_of(plane, [&](int row,
                            int column) { return row % 2 == 0 || column == (row / 2 % 2 == 0 ? 0 : 63) ? label : 0; }),
        plane);
    check_keep_largest_component(slice_of(plane,
                                          [&](int row, int column) {
                                            return column % 2 == 0 || row == (column / 2 % 2 == 0 ? 0 : 40) ? label : 0;
                                          }),
                                 plane);
  }
  check_keep_largest_component(slice_of({33, 33},
                                        [](int row, int column) {
                                          const int ring = std::min({row, column, 32 - row, 32 - column});
                                          return row == ring + 1 && column == ring ? 0 : ring % 2 == 0 ? 1 : 0;
                                        }),
                               {33, 33});
}

TEST(combs_join_at_their_last_row) {
  const Plane plane{20, 70};
  const auto comb = [](int row, int column) { return column % 2 == 0 || row == 19 ? 2 : 0; };
  check_keep_largest_component(slice_of(plane, comb), plane);
  check_keep_largest_component(slice_of(plane, [&](int row, int column) { return comb(19 - row, column); }), plane);
}

// 570 holes; some touch three structures.
TEST(more_holes_than_are_filled_at_once) {
  const Plane plane{39, 61};
  const auto holes = [](int row, int column) {
    return row % 2 == 1 && column % 2 == 1 ? 0 : 1 + (column > 20) + (column + row > 60);
  };
  check_keep_largest_component(slice_of(plane, holes), plane);
}

TEST(nothing_but_background_or_but_one_label_stays) {
  for (const int label : {0, 1, 3}) {
    const Plane plane{16, 32};
    const Labels labels(2 * 16 * 32, static_cast<std::uint8_t>(label));
    check_keep_largest_component(labels, plane);
    CHECK(on_device(labels, plane) == labels);
  }
}

TEST(more_slices_than_there_are_workspaces) {
  std::mt19937 random(3);
  const Plane plane{4, 5};
  Labels labels;
  for (int slice = 0; slice < (test::watched() ? 514 : 1030); ++slice) {
    const Labels one = slice % 3 == 0 ? Labels(20, 0) : noise(plane, random);
    labels.insert(labels.end(), one.begin(), one.end());
  }
  check_keep_largest_component(labels, plane);
}

TEST(labels_above_three_do_no_harm) {
  const Labels found = on_device({255, 0, 4, 4, 4, 0, 4, 0, 4, 4, 4, 4}, {4, 3});
  for (const int label : found) CHECK(label == 0 || label == 3 || label == 4 || label == 255);
}

TEST(extents_that_cannot_be_are_refused) {
  const auto clean = [](std::int64_t slices, std::int64_t rows, std::int64_t columns) {
    keep_largest_component_cuda(nullptr, slices, rows, columns, nullptr, nullptr);
  };
  CHECK_THROWS(clean(0, 2, 3), std::invalid_argument, "labels of keep_largest_component: expected extents of 1");
  CHECK_THROWS(clean(1, 1 << 15, 1 << 15), std::invalid_argument, "fewer than 2^30 pixels");
  CHECK_THROWS(clean(1, 1LL << 40, 1), std::invalid_argument, "fewer than 2^30 pixels");
  CHECK_THROWS(keep_largest_component_workspace(1, 5, 0), std::invalid_argument, "got 0");
  CHECK(keep_largest_component_workspace(3, 5, 6) == std::size_t{3 * 7 * 8 * 4});
  CHECK(keep_largest_component_workspace(100000, 5, 6) == std::size_t{512 * 7 * 8 * 4});
}

}  // namespace cardiacseg::ops
