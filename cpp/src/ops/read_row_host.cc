#include "ops/pixels.h"
#include "ops/read_row.h"

namespace cardiacseg::ops {

void read_row(const void* first, PixelType type, std::int64_t step, std::span<float> row) {
  const auto* at = static_cast<const unsigned char*>(first);
  visit_pixel_type(type, [&](auto pixel) {
    using Pixel = decltype(pixel);
    if (step == sizeof(Pixel)) {  // the loop that the compiler can vectorise
      for (std::size_t i = 0; i < row.size(); ++i) row[i] = load_pixel<Pixel>(at + i * sizeof(Pixel));
    } else {
      for (std::size_t i = 0; i < row.size(); ++i) row[i] = load_pixel<Pixel>(at + static_cast<std::int64_t>(i) * step);
    }
  });
}

}  // namespace cardiacseg::ops
