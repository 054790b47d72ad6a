#include <array>
#include <cstddef>
#include <stdexcept>
#include <string>

#include "ops/region_sizes.h"
#include "ops/require.h"

namespace cardiacseg::ops {

std::vector<std::int64_t> region_sizes(std::span<const std::uint8_t> mask, std::int64_t rows, std::int64_t columns,
                                       int neighbors) {
  require_size("mask of region_sizes", mask.size(), {rows, columns});
  if (neighbors != 4 && neighbors != 8) {
    throw std::invalid_argument("neighbors of region_sizes: expected 4 or 8, got " + std::to_string(neighbors));
  }
  // Zeros stand round the copy, so that no neighbor has to be looked for outside of it.
  const auto width = static_cast<std::size_t>(columns) + 2;
  std::vector<std::uint8_t> left(width * (static_cast<std::size_t>(rows) + 2), 0);
  for (std::size_t pixel = 0; pixel < mask.size(); ++pixel) {
    const auto across = static_cast<std::size_t>(columns);
    left[(pixel / across + 1) * width + pixel % across + 1] = mask[pixel];
  }
  // Up and left wrap round, which unsigned arithmetic allows.
  const std::array<std::size_t, 8> steps{1,         width,     0 - std::size_t{1}, 0 - width,
                                         width + 1, width - 1, 1 - width,          0 - width - 1};
  std::vector<std::int64_t> sizes;
  std::vector<std::size_t> region;
  for (std::size_t seed = 0; seed < left.size(); ++seed) {
    if (left[seed] == 0) continue;
    region.assign(1, seed);
    left[seed] = 0;
    for (std::size_t next = 0; next < region.size(); ++next) {
      for (std::size_t direction = 0; direction < static_cast<std::size_t>(neighbors); ++direction) {
        const std::size_t pixel = region[next] + steps[direction];
        if (left[pixel] == 0) continue;
        left[pixel] = 0;
        region.push_back(pixel);
      }
    }
    sizes.push_back(static_cast<std::int64_t>(region.size()));
  }
  return sizes;
}

}  // namespace cardiacseg::ops
