#include <stdexcept>
#include <vector>

#include "cardiacseg/views.h"
#include "check.h"

namespace cardiacseg {

TEST(pixel_types_have_their_size) {
  CHECK(size_of(PixelType::uint8) == 1 && size_of(PixelType::int8) == 1);
  CHECK(size_of(PixelType::uint16) == 2 && size_of(PixelType::int16) == 2);
  CHECK(size_of(PixelType::uint32) == 4 && size_of(PixelType::int32) == 4);
  CHECK(size_of(PixelType::float32) == 4 && size_of(PixelType::float64) == 8);
  CHECK_THROWS(size_of(static_cast<PixelType>(8)), std::out_of_range, "array");
}

TEST(shape_counts_voxels) {
  constexpr CineShape shape{2, 3, 4, 5};
  CHECK(shape.voxels_per_frame() == 60);
  CHECK(shape.voxels() == 120);
  CHECK(shape == (CineShape{2, 3, 4, 5}));
  CHECK(shape != (CineShape{2, 3, 5, 4}));
}

TEST(contiguous_strides_are_in_bytes) {
  const std::vector<std::int16_t> pixels(120);
  const CineView view = CineView::contiguous(pixels.data(), PixelType::int16, {2, 3, 4, 5}, {8, 1.5, 1.25});
  CHECK(view.strides == (std::array<std::ptrdiff_t, 4>{120, 40, 10, 2}));
  CHECK(view.spacing.slice == 8 && view.spacing.row == 1.5 && view.spacing.column == 1.25);
}

}  // namespace cardiacseg
