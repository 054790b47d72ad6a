#include <algorithm>
#include <cstddef>
#include <limits>
#include <vector>

#include "cardiacseg/measurements.h"
#include "check.h"

namespace cardiacseg {
namespace {

/// Voxels of one label in one frame.
struct Count {
  std::size_t rv;
  std::size_t myo;
  std::size_t lv;
};

/// Frames of 2 slices, 5 rows and 10 columns that hold these many voxels of each structure.
std::vector<std::uint8_t> frames_of(const std::vector<Count>& counts) {
  std::vector<std::uint8_t> labels;
  for (const Count& count : counts) {
    std::vector<std::uint8_t> frame(100, 0);
    std::fill_n(frame.begin(), count.rv, std::uint8_t{1});
    std::fill_n(frame.begin() + 30, count.myo, std::uint8_t{2});
    std::fill_n(frame.begin() + 60, count.lv, std::uint8_t{3});
    labels.insert(labels.end(), frame.begin(), frame.end());
  }
  return labels;
}

Measurements measured(const std::vector<Count>& counts, const Spacing& spacing = {10, 2, 5}) {
  const std::vector<std::uint8_t> labels = frames_of(counts);
  return measure({labels.data(), {static_cast<std::int64_t>(counts.size()), 2, 5, 10}, spacing});
}

}  // namespace

// A voxel of 10 x 2 x 5 mm is 0.1 ml.
TEST(volumes_and_function_of_a_cine) {
  const Measurements m = measured({{20, 12, 24}, {25, 10, 30}, {10, 11, 12}, {5, 9, 18}});
  CHECK(m.curve.size() == 4);
  CHECK_NEAR(m.curve[0].rv_ml, 2.0, 1e-12);
  CHECK_NEAR(m.curve[0].myo_ml, 1.2, 1e-12);
  CHECK_NEAR(m.curve[0].lv_ml, 2.4, 1e-12);
  CHECK(m.ed_frame == 1);
  CHECK(m.es_frame == 2);
  CHECK_NEAR(m.lv->edv_ml, 3.0, 1e-12);
  CHECK_NEAR(m.lv->esv_ml, 1.2, 1e-12);
  CHECK_NEAR(m.lv->sv_ml, 1.8, 1e-12);
  CHECK_NEAR(m.lv->ef_percent.value(), 60, 1e-9);
  // The RV is measured in the LV's frames: 2.5 and 1.0 ml, not 0.5 ml of the last frame.
  CHECK_NEAR(m.rv->edv_ml, 2.5, 1e-12);
  CHECK_NEAR(m.rv->esv_ml, 1.0, 1e-12);
  CHECK_NEAR(m.rv->ef_percent.value(), 60, 1e-9);
  CHECK_NEAR(m.lv_mass_g, 1.0 * 1.05, 1e-12);
}

TEST(unequal_spacing_counts_every_axis) {
  CHECK_NEAR(measured({{1, 0, 0}}, {8.0, 1.25, 1.5}).curve[0].rv_ml, 0.015, 1e-12);
}

TEST(first_frame_wins_among_equal_volumes) {
  const Measurements m = measured({{0, 0, 5}, {0, 0, 9}, {0, 0, 9}, {0, 0, 5}});
  CHECK(m.ed_frame == 1);
  CHECK(m.es_frame == 0);
}

TEST(one_frame_has_no_function) {
  const Measurements m = measured({{3, 20, 7}});
  CHECK(m.ed_frame == 0);
  CHECK(!m.es_frame && !m.lv && !m.rv);
  CHECK_NEAR(m.curve[0].lv_ml, 0.7, 1e-12);
  CHECK_NEAR(m.lv_mass_g, 2.1, 1e-12);
}

TEST(no_blood_gives_no_ejection_fraction) {
  const Measurements m = measured({{0, 4, 0}, {0, 4, 0}});
  CHECK(m.ed_frame == 0 && m.es_frame == 0);
  CHECK_NEAR(m.lv->edv_ml, 0, 0);
  CHECK(!m.lv->ef_percent && !m.rv->ef_percent);
}

// The RV is larger in the LV's end-systolic frame: 1.0 -> 1.5 ml.
TEST(ejection_fraction_may_be_negative) {
  const Measurements m = measured({{10, 0, 9}, {15, 0, 3}});
  CHECK_NEAR(m.rv->sv_ml, -0.5, 1e-12);
  CHECK_NEAR(m.rv->ef_percent.value(), -50, 1e-9);
}

TEST(wrong_labels_are_refused) {
  std::vector<std::uint8_t> labels(200, 0);
  labels[150] = 4;
  const Spacing spacing{10, 2, 5};
  CHECK_THROWS_CODE(measure({labels.data(), {2, 2, 5, 10}, spacing}), ErrorCode::invalid_input, "got 4 in frame 1");
  labels[150] = 255;
  CHECK_THROWS_CODE(measure({labels.data(), {2, 2, 5, 10}, spacing}), ErrorCode::invalid_input, "got 255");
}

TEST(wrong_shapes_are_refused) {
  const std::uint8_t label = 0;
  const Spacing spacing{10, 2, 5};
  CHECK_THROWS_CODE(measure({&label, {0, 1, 1, 1}, spacing}), ErrorCode::invalid_input, "[0, 1, 1, 1]");
  CHECK_THROWS_CODE(measure({&label, {1, 1, -1, 1}, spacing}), ErrorCode::invalid_input, "[1, 1, -1, 1]");
  constexpr std::int64_t large = 1LL << 31;
  CHECK_THROWS_CODE(measure({&label, {large, large, large, large}, spacing}), ErrorCode::invalid_input, "labels");
  CHECK_THROWS_CODE(measure({nullptr, {1, 1, 1, 1}, spacing}), ErrorCode::invalid_input, "null");
}

TEST(wrong_spacings_are_refused) {
  for (const double wrong :
       {0.0, -1.0, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(), 1e-320}) {
    CHECK_THROWS_CODE(measured({{1, 1, 1}}, {wrong, 1, 1}), ErrorCode::invalid_input, "positive, finite spacing");
    CHECK_THROWS_CODE(measured({{1, 1, 1}}, {1, wrong, 1}), ErrorCode::invalid_input, "positive, finite spacing");
    CHECK_THROWS_CODE(measured({{1, 1, 1}}, {1, 1, wrong}), ErrorCode::invalid_input, "positive, finite spacing");
  }
  CHECK_THROWS_CODE(measured({{1, 1, 1}}, {-1, -1, 1}), ErrorCode::invalid_input, "spacing");
}

}  // namespace cardiacseg
