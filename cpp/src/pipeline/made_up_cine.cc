#include "pipeline/made_up_cine.h"

#include <cstring>

#include "ops/pixels.h"
#include "pipeline/input_checks.h"

namespace cardiacseg {

MadeUpCine made_up_cine(const CineShape& shape, const Spacing& spacing, PixelType type) {
  constexpr std::byte something{};
  check_geometry(CineView::contiguous(&something, type, shape, spacing));
  const auto voxels = static_cast<std::size_t>(shape.voxels());
  MadeUpCine made{std::vector<std::byte>(voxels * size_of(type)), {}};
  ops::visit_pixel_type(type, [&](auto pixel) {
    for (std::size_t index = 0; index < voxels; ++index) {
      pixel = static_cast<decltype(pixel)>(index % 100);
      std::memcpy(&made.pixels[index * sizeof pixel], &pixel, sizeof pixel);
    }
  });
  made.cine = CineView::contiguous(made.pixels.data(), type, shape, spacing);
  return made;
}

}  // namespace cardiacseg
