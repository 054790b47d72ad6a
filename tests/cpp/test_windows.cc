#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "ops/windows.h"
#include "ops/z_score.h"
#include "ops/zoom.h"

namespace cardiacseg::ops {
namespace {

std::vector<float> zoomed(const std::vector<float>& line, std::int64_t outputs, int order) {
  const ResampleTaps one = zoom_taps(1, 1, order);
  std::vector<float> output(static_cast<std::size_t>(outputs));
  zoom(line, one, zoom_taps(static_cast<std::int64_t>(line.size()), outputs, order), output);
  return output;
}

void expect_near(const std::vector<float>& found, const std::vector<double>& wanted) {
  ASSERT_EQ(found.size(), wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) EXPECT_NEAR(found[i], wanted[i], 2e-6) << i;
}

}  // namespace

// Centers at -1/6, 1/2, 7/6, 11/6, 5/2, 19/6.
TEST(Zoom, LinearRepeatsTheEdges) { expect_near(zoomed({1, 2, 4, 8}, 6, 1), {1, 1.5, 7.0 / 3, 11.0 / 3, 6, 8}); }

// As scipy.ndimage.zoom(line, 1.5, order=3, mode="nearest", grid_mode=True).
TEST(Zoom, CubicSplinePassesThroughThePixels) {
  expect_near(zoomed({1, 2, 4, 8}, 6, 3), {0.94191867, 1.40673326, 2.20551354, 3.45954997, 6.17403811, 8.27335654});
  expect_near(zoomed({1, 2, 4, 8}, 4, 3), {1, 2, 4, 8});
  const std::vector<float> tripled = zoomed({1, 2, 4, 8}, 12, 3);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(tripled[3 * i + 1], std::pow(2.0, i), 2e-6);
}

TEST(Zoom, ShrinkingIsNotAntiAliased) { expect_near(zoomed({0, 9, 0, 0, 9, 0}, 2, 1), {9, 9}); }

TEST(Zoom, RefusesOtherOrdersAndSizes) {
  EXPECT_THROW(zoom_taps(4, 6, 2), std::invalid_argument);
  EXPECT_THROW(zoom_taps(0, 6, 1), std::invalid_argument);
  const ResampleTaps taps = zoom_taps(4, 6, 1);
  std::vector<float> output(5);
  EXPECT_THROW(zoom(std::vector<float>(4), zoom_taps(1, 1, 1), taps, output), std::invalid_argument);
}

// As nnU-Net's compute_steps_for_sliding_window(image, tile, 0.5) says.
TEST(Windows, LieAsInNnunet) {
  using Starts = std::vector<std::int64_t>;
  EXPECT_EQ(window_axis(110, 64).starts, (Starts{0, 23, 46}));
  EXPECT_EQ(window_axis(64, 64).starts, (Starts{0}));
  EXPECT_EQ(window_axis(65, 64).starts, (Starts{0, 1}));
  EXPECT_EQ(window_axis(96, 64).starts, (Starts{0, 32}));
  EXPECT_EQ(window_axis(97, 64).starts, (Starts{0, 16, 33}));  // 16.5: ties go to even
}

TEST(Windows, ShortAxesArePaddedMoreAtTheEnd) {
  const WindowAxis axis = window_axis(11, 16);
  EXPECT_EQ(axis.padded, 16);
  EXPECT_EQ(axis.before, 2);
  EXPECT_EQ(axis.starts, (std::vector<std::int64_t>{0}));
  EXPECT_EQ(axis.weights, std::vector<float>(16, 1.0F));
}

TEST(Windows, WeightsAreGaussianAndSumToOne) {
  const WindowAxis axis = window_axis(24, 16);
  ASSERT_EQ(axis.starts, (std::vector<std::int64_t>{0, 8}));
  EXPECT_EQ(axis.weights[0], 1.0F);         // only the first window has that pixel
  const double first = std::exp(-0.5 * 4);  // pixel 12: two standard deviations from 8, and from 16
  EXPECT_NEAR(axis.weights[12], first / (first + first), 1e-6);
  for (std::size_t pixel = 8; pixel < 16; ++pixel) {
    EXPECT_NEAR(axis.weights[pixel] + axis.weights[16 + pixel - 8], 1.0F, 1e-6);
  }
}

TEST(ZScore, BoxHoldsWhatIsNotZero) {
  std::vector<std::int16_t> stack(3 * 4 * 5);
  stack[1 * 20 + 1 * 5 + 2] = -3;
  stack[2 * 20 + 2 * 5 + 1] = 7;
  const Pixels pixels = contiguous_pixels(stack.data(), PixelType::int16, 1, 3, 4, 5);
  const StackBox box = nonzero_box(pixels, 0);
  EXPECT_EQ(box, (StackBox{1, 1, 1, 2, 2, 2}));
  EXPECT_EQ(read_box(pixels, 0, box), (std::vector<float>{0, -3, 0, 0, 0, 0, 7, 0}));
  const std::vector<std::int16_t> nothing(8);
  EXPECT_EQ(nonzero_box(contiguous_pixels(nothing.data(), PixelType::int16, 1, 2, 2, 2), 0).voxels(), 0);
}

// A zero in the middle of 3 x 3 x 3 is a hole; one that reaches the rim through a face is not.
TEST(ZScore, HolesBelongToTheMask) {
  std::vector<float> voxels(27, 1.0F);
  voxels[13] = 0;
  const StackBox box{0, 0, 0, 3, 3, 3};
  EXPECT_EQ(nonzero_mask(voxels, box), std::vector<std::uint8_t>(27, 1));
  voxels[4] = 0;  // in the first slice, in front of it
  std::vector<std::uint8_t> wanted(27, 1);
  wanted[13] = wanted[4] = 0;
  EXPECT_EQ(nonzero_mask(voxels, box), wanted);
}

TEST(ZScore, SubtractsTheMeanAndDividesByTheDeviation) {
  std::vector<float> voxels{1, 3, 5, 7};
  z_score(voxels, {});
  expect_near(voxels, {-3 / std::sqrt(5.0), -1 / std::sqrt(5.0), 1 / std::sqrt(5.0), 3 / std::sqrt(5.0)});
  std::vector<float> masked{1, 0, 3, 0};
  z_score(masked, std::vector<std::uint8_t>{1, 0, 1, 0});
  expect_near(masked, {-1, 0, 1, 0});
  std::vector<float> constant{4, 4};
  z_score(constant, {});
  expect_near(constant, {0, 0});
}

}  // namespace cardiacseg::ops
