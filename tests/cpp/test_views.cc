#include <gtest/gtest.h>

#include <stdexcept>
#include <vector>

#include "cardiacseg/views.h"
#include "expect_error.h"

namespace cardiacseg {

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

}  // namespace cardiacseg
