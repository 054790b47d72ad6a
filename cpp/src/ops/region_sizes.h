#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace cardiacseg::ops {

/// Pixels of each region of `mask` `[rows, columns]`: of pixels other than 0 that hang together through their 4 or 8
/// `neighbors`. Regions are in the order in which C order meets them. Throws std::invalid_argument for extents that
/// are not those of `mask`, and for another number of neighbors.
std::vector<std::int64_t> region_sizes(std::span<const std::uint8_t> mask, std::int64_t rows, std::int64_t columns,
                                       int neighbors);

}  // namespace cardiacseg::ops
