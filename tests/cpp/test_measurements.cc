#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <vector>

#include "cardiacseg/measurements.h"
#include "expect_error.h"

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

/// As above, of voxels of 0.1 ml.
Measurements measured(const std::vector<Count>& counts, const MeasurementOptions& options,
                      const MeasurementInputs& inputs = {}) {
  const std::vector<std::uint8_t> labels = frames_of(counts);
  return measure({labels.data(), {static_cast<std::int64_t>(counts.size()), 2, 5, 10}, {10, 2, 5}}, options, inputs);
}

/// Voxels of each structure, all in one row, of slices of 10 rows and 10 columns; a voxel is 0.1 ml, 10 mm2.
Measurements stack_of(const std::vector<Count>& slices, const MeasurementOptions& options = {},
                      const MeasurementInputs& inputs = {}) {
  std::vector<std::uint8_t> labels(slices.size() * 100, 0);
  auto first = labels.begin();
  for (const Count& count : slices) {
    std::fill_n(first, count.rv, std::uint8_t{1});
    std::fill_n(first + 30, count.myo, std::uint8_t{2});
    std::fill_n(first + 60, count.lv, std::uint8_t{3});
    first += 100;
  }
  return measure({labels.data(), {1, static_cast<std::int64_t>(slices.size()), 10, 10}, {10, 2, 5}}, options, inputs);
}

}  // namespace

// A voxel of 10 x 2 x 5 mm is 0.1 ml.
TEST(Measurements, VolumesAndFunctionOfACine) {
  const Measurements m = measured({{20, 12, 24}, {25, 10, 30}, {10, 11, 12}, {5, 9, 18}});
  EXPECT_EQ(m.curve.size(), 4U);
  EXPECT_NEAR(m.curve[0].rv_ml, 2.0, 1e-12);
  EXPECT_NEAR(m.curve[0].myo_ml, 1.2, 1e-12);
  EXPECT_NEAR(m.curve[0].lv_ml, 2.4, 1e-12);
  EXPECT_EQ(m.ed_frame, 1);
  EXPECT_EQ(m.es_frame, 2);
  EXPECT_NEAR(m.lv->edv_ml, 3.0, 1e-12);
  EXPECT_NEAR(m.lv->esv_ml, 1.2, 1e-12);
  EXPECT_NEAR(m.lv->sv_ml, 1.8, 1e-12);
  EXPECT_NEAR(m.lv->ef_percent.value(), 60, 1e-9);
  // The RV is measured in the LV's frames: 2.5 and 1.0 ml, not 0.5 ml of the last frame.
  EXPECT_NEAR(m.rv->edv_ml, 2.5, 1e-12);
  EXPECT_NEAR(m.rv->esv_ml, 1.0, 1e-12);
  EXPECT_NEAR(m.rv->ef_percent.value(), 60, 1e-9);
  EXPECT_NEAR(m.lv_mass_g, 1.0 * 1.05, 1e-12);
}

TEST(Measurements, UnequalSpacingCountsEveryAxis) {
  EXPECT_NEAR(measured({{1, 0, 0}}, {8.0, 1.25, 1.5}).curve[0].rv_ml, 0.015, 1e-12);
}

TEST(Measurements, FirstFrameWinsAmongEqualVolumes) {
  const Measurements m = measured({{0, 0, 5}, {0, 0, 9}, {0, 0, 9}, {0, 0, 5}});
  EXPECT_EQ(m.ed_frame, 1);
  EXPECT_EQ(m.es_frame, 0);
}

TEST(Measurements, OneFrameHasNoFunction) {
  const Measurements m = measured({{3, 20, 7}});
  EXPECT_EQ(m.ed_frame, 0);
  EXPECT_FALSE(m.es_frame);
  EXPECT_FALSE(m.rv_es_frame);
  EXPECT_FALSE(m.lv);
  EXPECT_FALSE(m.rv);
  EXPECT_FALSE(m.lv_mass_es_g);
  EXPECT_NEAR(m.curve[0].lv_ml, 0.7, 1e-12);
  EXPECT_NEAR(m.lv_mass_g, 2.1, 1e-12);
}

TEST(Measurements, NoBloodGivesNoEjectionFraction) {
  const Measurements m = measured({{0, 4, 0}, {0, 4, 0}});
  EXPECT_EQ(m.ed_frame, 0);
  EXPECT_EQ(m.es_frame, 0);
  EXPECT_NEAR(m.lv->edv_ml, 0, 0);
  EXPECT_TRUE(!m.lv->ef_percent && !m.rv->ef_percent);
}

// The RV is larger in the LV's end-systolic frame: 1.0 -> 1.5 ml.
TEST(Measurements, EjectionFractionMayBeNegative) {
  const Measurements m = measured({{10, 0, 9}, {15, 0, 3}});
  EXPECT_NEAR(m.rv->sv_ml, -0.5, 1e-12);
  EXPECT_NEAR(m.rv->ef_percent.value(), -50, 1e-9);
}

TEST(Measurements, FramesMayBeGiven) {
  const std::vector<Count> counts{{20, 12, 24}, {25, 10, 30}, {10, 11, 12}, {5, 9, 18}};
  const Measurements m = measured(counts, {.ed_frame = 0, .es_frame = 3});
  EXPECT_EQ(m.ed_frame, 0);
  EXPECT_EQ(m.es_frame, 3);
  EXPECT_EQ(m.rv_ed_frame, 0);
  EXPECT_EQ(m.rv_es_frame, 3);
  EXPECT_NEAR(m.lv->edv_ml, 2.4, 1e-12);
  EXPECT_NEAR(m.rv->esv_ml, 0.5, 1e-12);
  EXPECT_NEAR(m.lv_mass_g, 1.2 * 1.05, 1e-12);
  EXPECT_NEAR(m.lv_mass_es_g.value(), 0.9 * 1.05, 1e-12);
  EXPECT_ERROR(measured(counts, {.ed_frame = 4}), ErrorCode::invalid_input, "ED: expected a frame from 0 to 3");
  EXPECT_ERROR(measured(counts, {.es_frame = -1}), ErrorCode::invalid_input, "ES: expected a frame");
}

TEST(Measurements, RightVentricleHasItsOwnFrames) {
  const Measurements m =
      measured({{20, 12, 24}, {25, 10, 30}, {10, 11, 12}, {30, 9, 18}}, {.rv_phases = RvPhases::own});
  EXPECT_EQ(m.ed_frame, 1);
  EXPECT_EQ(m.es_frame, 2);
  EXPECT_EQ(m.rv_ed_frame, 3);
  EXPECT_EQ(m.rv_es_frame, 2);
  EXPECT_NEAR(m.rv->edv_ml, 3.0, 1e-12);
  EXPECT_NEAR(m.rv->esv_ml, 1.0, 1e-12);
}

// LV 10, 20, 12 voxels: the ends count half, so that 31 of 42 are left. The RV's one slice counts whole.
TEST(Measurements, EndSlicesCountHalfByTheTrapezoidalRule) {
  const std::vector<Count> slices{{0, 0, 0}, {0, 4, 10}, {7, 4, 20}, {0, 4, 12}, {0, 0, 0}};
  const FrameVolumes half = stack_of(slices, {.end_slices = EndSlices::trapezoid}).curve[0];
  EXPECT_NEAR(half.lv_ml, 3.1, 1e-12);
  EXPECT_NEAR(half.myo_ml, 0.8, 1e-12);
  EXPECT_NEAR(half.rv_ml, 0.7, 1e-12);
  EXPECT_NEAR(stack_of(slices).curve[0].lv_ml, 4.2, 1e-12);
}

// Slices at 0, 10, 30 and 34 mm stand for 10, 15, 12 and 4 mm of the axis; a pixel is 10 mm2.
TEST(Measurements, UnevenSlicesCountByTheirPartOfTheAxis) {
  const std::vector<Count> slices{{5, 4, 10}, {7, 0, 20}, {0, 8, 12}, {0, 6, 0}};
  const std::array<double, 4> shares{10, 15, 12, 4};
  const Measurements m = stack_of(slices, {}, {.slice_shares_mm = shares});
  EXPECT_NEAR(m.curve[0].rv_ml, 0.5 + 1.05, 1e-12);
  EXPECT_NEAR(m.curve[0].myo_ml, 0.4 + 0.96 + 0.24, 1e-12);
  EXPECT_NEAR(m.curve[0].lv_ml, 1.0 + 3.0 + 1.44, 1e-12);
  EXPECT_NEAR(m.lv_mass_g, 1.6 * 1.05, 1e-12);
  EXPECT_NEAR(m.areas_mm2[5], 200, 1e-12);  // areas do not depend on the axis
  const Measurements ends = stack_of(slices, {.end_slices = EndSlices::trapezoid}, {.slice_shares_mm = shares});
  EXPECT_NEAR(ends.curve[0].lv_ml, 5.44 - (1.0 + 1.44) / 2, 1e-12);
  EXPECT_NEAR(ends.curve[0].myo_ml, 1.6 - (0.4 + 0.24) / 2, 1e-12);
  const std::array<double, 4> even{10, 10, 10, 10};
  EXPECT_EQ(stack_of(slices, {}, {.slice_shares_mm = even}).curve[0].lv_ml, stack_of(slices).curve[0].lv_ml);
}

TEST(Measurements, ExcludedSlicesDoNotCount) {
  const std::vector<Count> slices{{5, 4, 10}, {7, 8, 20}, {2, 4, 12}};
  const std::array<std::uint8_t, 9> included{1, 1, 0, 1, 0, 1, 0, 1, 1};
  const Measurements m = stack_of(slices, {}, {.included = included});
  EXPECT_NEAR(m.curve[0].rv_ml, 1.2, 1e-12);
  EXPECT_NEAR(m.curve[0].myo_ml, 0.8, 1e-12);
  EXPECT_NEAR(m.curve[0].lv_ml, 3.2, 1e-12);
  EXPECT_NEAR(m.lv_mass_g, 0.84, 1e-12);
  EXPECT_EQ(m.areas_mm2.size(), 9U);
  EXPECT_NEAR(m.areas_mm2[2], 100, 1e-12);  // of all slices
  EXPECT_NEAR(m.areas_mm2[4], 80, 1e-12);
  const Measurements ends = stack_of(slices, {.end_slices = EndSlices::trapezoid}, {.included = included});
  EXPECT_NEAR(ends.curve[0].lv_ml, 1.6, 1e-12);
}

// Without the second frame's LV the first is the larger one.
TEST(Measurements, SlicesMayCountInSomeFramesOnly) {
  const std::array<std::uint8_t, 12> included{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0};
  const Measurements m = measured({{3, 5, 20}, {3, 5, 30}}, {}, {.included = included});
  EXPECT_EQ(m.ed_frame, 0);
  EXPECT_EQ(m.es_frame, 1);
  EXPECT_NEAR(m.lv->esv_ml, 0, 0);
}

TEST(Measurements, BaseIsAtTheLargerThird) {
  const std::vector<Count> shrinking{{0, 0, 0}, {9, 9, 20}, {0, 8, 9}, {0, 5, 5}, {0, 0, 0}};
  EXPECT_EQ(stack_of(shrinking).base_first, true);
  EXPECT_EQ(stack_of({shrinking.rbegin(), shrinking.rend()}).base_first, false);
  EXPECT_EQ(stack_of({{0, 5, 5}, {0, 5, 5}}).base_first, true);
  EXPECT_FALSE(stack_of({{0, 0, 0}, {0, 5, 5}}).base_first);
}

// 1200 ms a beat are 50 beats a minute; Mosteller makes 2 m2 of 180 cm and 80 kg, Du Bois 1.8097 of 170 cm and 70 kg.
TEST(Measurements, HeartRateOutputAndBodySurface) {
  const std::vector<Count> counts{{20, 12, 24}, {5, 9, 18}};
  const Measurements m = measured(counts, {}, {.rr_interval_ms = 1200, .height_m = 1.8, .weight_kg = 80});
  EXPECT_NEAR(m.heart_rate_per_min.value(), 50, 1e-12);
  EXPECT_NEAR(m.lv->co_l_min.value(), 0.6 * 50 / 1000, 1e-12);
  EXPECT_NEAR(m.rv->co_l_min.value(), 1.5 * 50 / 1000, 1e-12);
  EXPECT_NEAR(m.bsa_m2.value(), 2, 1e-12);
  const Measurements other = measured(counts, {.bsa_formula = BsaFormula::du_bois}, {.height_m = 1.7, .weight_kg = 70});
  EXPECT_NEAR(other.bsa_m2.value(), 1.8097, 5e-5);
  EXPECT_TRUE(!other.heart_rate_per_min && !other.lv->co_l_min);
  EXPECT_FALSE(measured(counts, {}, {.height_m = 1.8}).bsa_m2);
}

TEST(Measurements, InputsThatDoNotMatchAreRefused) {
  const std::vector<Count> counts{{1, 1, 1}, {1, 1, 1}};
  const auto refused = [&](const MeasurementInputs& inputs, const char* words) {
    EXPECT_ERROR(measured(counts, {}, inputs), ErrorCode::invalid_input, words);
  };
  const std::array<std::uint8_t, 6> marks{};
  refused({.included = marks}, "expected 12 marks");
  const std::array<double, 3> shares{10, 10, 10};
  refused({.slice_shares_mm = shares}, "slice shares: expected 2 values");
  const std::array<double, 3> times{0, 10, 20};
  refused({.frame_times_ms = times}, "expected 2 values");
  const std::array<double, 2> still{10, 10};
  refused({.frame_times_ms = still}, "ascending");
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const double wrong : {0.0, -1.0, nan, std::numeric_limits<double>::infinity()}) {
    refused({.rr_interval_ms = wrong}, "RR interval");
    refused({.height_m = wrong}, "height");
    refused({.weight_kg = wrong}, "weight");
    const std::array<double, 2> wrong_share{10, wrong};
    refused({.slice_shares_mm = wrong_share}, "slice shares: expected positive, finite millimetres");
  }
  refused({.height_m = 180}, "up to 3 m");
  refused({.anterior = {0, 0}}, "anterior");
  refused({.anterior = {nan, 0}}, "anterior");
}

TEST(Measurements, WrongLabelsAreRefused) {
  std::vector<std::uint8_t> labels(200, 0);
  labels[150] = 4;
  const Spacing spacing{10, 2, 5};
  EXPECT_ERROR(measure({labels.data(), {2, 2, 5, 10}, spacing}), ErrorCode::invalid_input, "got 4 in frame 1");
  labels[150] = 255;
  EXPECT_ERROR(measure({labels.data(), {2, 2, 5, 10}, spacing}), ErrorCode::invalid_input, "got 255");
}

TEST(Measurements, WrongShapesAreRefused) {
  const std::uint8_t label = 0;
  const Spacing spacing{10, 2, 5};
  EXPECT_ERROR(measure({&label, {0, 1, 1, 1}, spacing}), ErrorCode::invalid_input, "[0, 1, 1, 1]");
  EXPECT_ERROR(measure({&label, {1, 1, -1, 1}, spacing}), ErrorCode::invalid_input, "[1, 1, -1, 1]");
  constexpr std::int64_t large = 1LL << 31;
  EXPECT_ERROR(measure({&label, {large, large, large, large}, spacing}), ErrorCode::invalid_input, "labels");
  EXPECT_ERROR(measure({nullptr, {1, 1, 1, 1}, spacing}), ErrorCode::invalid_input, "null");
}

TEST(Measurements, WrongSpacingsAreRefused) {
  for (const double wrong :
       {0.0, -1.0, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(), 1e-320}) {
    EXPECT_ERROR(measured({{1, 1, 1}}, {wrong, 1, 1}), ErrorCode::invalid_input, "positive, finite spacing");
    EXPECT_ERROR(measured({{1, 1, 1}}, {1, wrong, 1}), ErrorCode::invalid_input, "positive, finite spacing");
    EXPECT_ERROR(measured({{1, 1, 1}}, {1, 1, wrong}), ErrorCode::invalid_input, "positive, finite spacing");
  }
  EXPECT_ERROR(measured({{1, 1, 1}}, {-1, -1, 1}), ErrorCode::invalid_input, "spacing");
}

}  // namespace cardiacseg
