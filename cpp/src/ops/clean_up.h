#pragma once

#include <cstdint>
#include <span>

namespace cardiacseg::ops {

/// Removes fragments from `labels` `[slices, rows, columns]` and fills holes, slice by slice, in place. Returns the
/// number of voxels whose label changed.
///
/// First, of each structure the largest 8-connected region stays (of equal ones that which is met first in C order)
/// and the others become background. Then each hole, a 4-connected region of background that does not reach the slice's
/// rim, takes the label along most of its border (of equal ones the lowest), counted in pairs of 4-neighbours. What a
/// structure encloses of another one, as the myocardium does the LV, stays. No structure leaves or enters a slice.
std::int64_t clean_up(std::span<std::uint8_t> labels, std::int64_t slices, std::int64_t rows, std::int64_t columns);

}  // namespace cardiacseg::ops
