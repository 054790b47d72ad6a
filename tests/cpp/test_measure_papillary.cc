#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "cardiacseg/measurements.h"
#include "expect_error.h"
#include "measure/papillary.h"

namespace cardiacseg {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

/// One slice of one row; blood's median is 100 and myocardium's 20, so that what is below 60 is muscle.
const std::vector<std::uint8_t> kLabels{3, 3, 3, 3, 3, 2, 2, 2, 1, 0};
const std::vector<float> kSignal{100, 110, 100, 59, 60, 20, 10, 90, 5, 5};

std::int64_t pixels(const std::vector<std::uint8_t>& labels, const std::vector<float>& signal) {
  return papillary_pixels({labels.data(), 1, static_cast<std::int64_t>(labels.size()), 1, 1}, signal);
}

}  // namespace

TEST(PapillaryMuscles, DarkPixelsOfTheCavityAreMuscle) {
  EXPECT_EQ(pixels(kLabels, kSignal), 1);
  EXPECT_EQ(pixels(kLabels, {100, 110, 100, 59, 59, 20, 10, 90, 5, 5}), 2);
}

TEST(PapillaryMuscles, NothingMovesWithoutMyocardiumBloodOrContrast) {
  EXPECT_EQ(pixels({3, 3, 3, 0, 1}, {100, 100, 1, 1, 1}), 0);
  EXPECT_EQ(pixels({2, 2, 2, 0, 1}, {100, 100, 1, 1, 1}), 0);
  EXPECT_EQ(pixels({3, 3, 3, 2, 2}, {20, 20, 1, 50, 50}), 0);
  EXPECT_EQ(pixels({3, 3, 3, 2, 2}, {20, 20, 20, 20, 20}), 0);
}

TEST(PapillaryMuscles, NonFinitePixelsStayBlood) {
  EXPECT_EQ(pixels(kLabels, {100, kNaN, 100, 59, 100, 20, kNaN, 20, 5, 5}), 1);
  EXPECT_EQ(pixels(kLabels, std::vector<float>(10, kNaN)), 0);
}

// A voxel of 10 x 1 x 10 mm is 0.1 ml. The second frame has no dark blood.
TEST(PapillaryMuscles, MovedPixelsCountToTheMassAlone) {
  std::vector<std::uint8_t> labels(kLabels);
  labels.insert(labels.end(), {3, 3, 3, 3, 2, 2, 2, 2, 1, 0});
  const std::vector<std::uint16_t> image{100, 110, 100, 59, 60, 20, 10, 90, 5, 5, 99, 99, 99, 99, 20, 20, 20, 20, 9, 9};
  const CineShape shape{2, 1, 1, 10};
  const Spacing spacing{10, 1, 10};
  const CineView view = CineView::contiguous(image.data(), PixelType::uint16, shape, spacing);
  const auto found =
      measure({labels.data(), shape, spacing}, {.es_frame = 1, .papillary = PapillaryMuscles::mass}, {.image = &view});
  EXPECT_NEAR(found.curve[0].lv_ml, 0.4, 1e-12);
  EXPECT_NEAR(found.curve[0].myo_ml, 0.4, 1e-12);
  EXPECT_NEAR(found.curve[0].rv_ml, 0.1, 1e-12);
  EXPECT_NEAR(found.curve[1].lv_ml, 0.4, 1e-12);
  EXPECT_NEAR(found.lv_mass_g, 0.42, 1e-12);
  EXPECT_NEAR(found.areas_mm2[2], 40, 1e-12);
  EXPECT_NEAR(measure({labels.data(), shape, spacing}, {}, {.image = &view}).curve[0].lv_ml, 0.5, 1e-12);
}

TEST(PapillaryMuscles, ImageMustMatchTheLabels) {
  const CineShape shape{1, 1, 1, 10};
  const LabelView labels{kLabels.data(), shape, {1, 1, 1}};
  const MeasurementOptions in_mass{.papillary = PapillaryMuscles::mass};
  EXPECT_ERROR(measure(labels, in_mass), ErrorCode::invalid_input, "expected the image");
  CineView view = CineView::contiguous(kSignal.data(), PixelType::float32, {1, 1, 2, 5}, {1, 1, 1});
  EXPECT_ERROR(measure(labels, in_mass, {.image = &view}), ErrorCode::invalid_input, "[1, 1, 2, 5]");
  view.shape = shape;
  view.memory = Memory::device;
  EXPECT_ERROR(measure(labels, in_mass, {.image = &view}), ErrorCode::invalid_input, "host");
}

}  // namespace cardiacseg
