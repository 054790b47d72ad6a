#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <locale>
#include <stdexcept>
#include <string>
#include <vector>

#include "cardiacseg/views.h"
#include "expect_error.h"
#include "pipeline/input_checks.h"

namespace cardiacseg {
namespace {

constexpr CineShape kUsual{20, 10, 208, 224};
constexpr Spacing kSquare{8, 1.4, 1.4};

CineView view(const CineShape& shape, const Spacing& spacing) {
  static constexpr char something = 0;
  return CineView::contiguous(&something, PixelType::uint8, shape, spacing);
}

void refused(const CineShape& shape, const Spacing& spacing, const std::string& words) {
  EXPECT_ERROR(check_geometry(view(shape, spacing)), ErrorCode::invalid_input, words);
}

std::string codes(const Spacing& spacing, const std::vector<float>& quality = {0.9F}) {
  Segmentation result;
  result.quality = quality;
  std::string all;
  for (const RunWarning& warning : run_warnings(view(kUsual, spacing), result)) all += warning.code + " ";
  return all;
}

}  // namespace

TEST(Views, PixelTypesHaveTheirSize) {
  EXPECT_EQ(size_of(PixelType::uint8), 1);
  EXPECT_EQ(size_of(PixelType::int8), 1);
  EXPECT_EQ(size_of(PixelType::uint16), 2);
  EXPECT_EQ(size_of(PixelType::int16), 2);
  EXPECT_EQ(size_of(PixelType::uint32), 4);
  EXPECT_EQ(size_of(PixelType::int32), 4);
  EXPECT_EQ(size_of(PixelType::float32), 4);
  EXPECT_EQ(size_of(PixelType::float64), 8);
  EXPECT_THROW_MESSAGE(size_of(static_cast<PixelType>(8)), std::out_of_range, "array");
}

TEST(Views, ShapeCountsVoxels) {
  constexpr CineShape shape{2, 3, 4, 5};
  EXPECT_EQ(shape.voxels_per_frame(), 60);
  EXPECT_EQ(shape.voxels(), 120);
  EXPECT_EQ(shape, (CineShape{2, 3, 4, 5}));
  EXPECT_NE(shape, (CineShape{2, 3, 5, 4}));
}

TEST(Views, ContiguousStridesAreInBytes) {
  const std::vector<std::int16_t> pixels(120);
  const CineView view = CineView::contiguous(pixels.data(), PixelType::int16, {2, 3, 4, 5}, {8, 1.5, 1.25});
  EXPECT_EQ(view.strides, (std::array<std::ptrdiff_t, 4>{120, 40, 10, 2}));
  EXPECT_EQ(view.spacing.slice, 8);
  EXPECT_EQ(view.spacing.row, 1.5);
  EXPECT_EQ(view.spacing.column, 1.25);
}

TEST(InputChecks, UsualAndUnusualSpacingsAreAccepted) {
  for (const Spacing& spacing : {kSquare, Spacing{10, 2.4, 2.4}, Spacing{1, 0.2, 0.2}, Spacing{4, 0.9, 0.9},
                                 Spacing{1.5, 1.5, 1.5}, Spacing{8, 1.4, 2.8}, Spacing{8, 2.8, 1.4}}) {
    EXPECT_NO_THROW(check_geometry(view(kUsual, spacing)));
  }
  check_geometry(view({1, 200, 64, 64}, {1.5, 1.5, 1.5}));
  check_geometry(view({1, 12, 16, 20}, {8, 1.5, 1.5}));
}

TEST(InputChecks, PixelsFarFromSquareAreRefused) {
  refused(kUsual, {2.4, 2.4, 10}, "expected a spacing of (slice, row, column), got (2.4, 2.4, 10), which looks like");
  refused(kUsual, {2.4, 10, 2.4}, "within a factor of 2, got 10 and 2.4 mm");
  refused(kUsual, {8, 1.4, 2.81}, "within a factor of 2");
  refused(kUsual, {0.2, 0.2, 1}, "(x, y, z)");
}

TEST(InputChecks, ImplausibleSpacingsAreRefused) {
  refused(kUsual, {8, 10, 10}, "the row spacing must be 0.1 to 8 mm, got 10");
  refused(kUsual, {0.008, 0.0014, 0.0014}, "the slice spacing must be 0.1 to 100 mm, got 0.008");
  refused(kUsual, {8, 1.4, NAN}, "the column spacing");
  refused(kUsual, {8, 0, 1.4}, "the row spacing must be 0.1 to 8 mm, got 0");
}

TEST(InputChecks, NumbersAreWrittenInOneWayWhateverTheProgramsLocale) {
  struct Comma : std::numpunct<char> {
    char do_decimal_point() const override { return ','; }
  };
  const std::locale before = std::locale::global(std::locale(std::locale::classic(), new Comma));
  refused(kUsual, {8, 1.5, 99.5}, "got 1.5 and 99.5 mm");
  std::locale::global(before);
}

TEST(InputChecks, AxesInNiftiOrderAreRefused) {
  refused({224, 208, 10, 20}, kSquare, "got [224, 208, 10, 20], which looks like [x, y, z, t]: reverse the order");
  refused({224, 208, 20, 30}, kSquare, "[x, y, z, t]");
  refused({1, 224, 208, 10}, kSquare, "expected the axes [slices, rows, columns], got [224, 208, 10]");
}

TEST(InputChecks, DoubtfulInputsGiveWarnings) {
  EXPECT_TRUE(codes(kSquare).empty());
  EXPECT_TRUE(codes({4, 0.9, 0.9}).empty());
  EXPECT_TRUE(codes({1.5, 1.5, 1.5}).empty());
  EXPECT_EQ(codes({1, 0.2, 0.2}), "W_PIXEL_SIZE ");
  EXPECT_EQ(codes({8, 5, 5}), "W_PIXEL_SIZE ");
  EXPECT_EQ(codes({1.5, 1.5, 2.5}), "W_SPACING_ORDER ");
  EXPECT_EQ(codes(kSquare, {0.9F, 0.1F}), "W_QUALITY ");
  EXPECT_TRUE(codes(kSquare, {NAN, NAN}).empty());
}

}  // namespace cardiacseg
