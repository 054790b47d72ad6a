#pragma once

#include <cstdint>
#include <span>

namespace cardiacseg::ops {

/// Removes fragments from `labels` `[slices, rows, columns]` and fills holes, slice by slice, in place. Returns the
/// number of voxels whose label changed.
///
/// First, of each structure the largest 8-connected region stays (of equal ones that which is met first in C order)
/// and the others become background. Then each hole, a 4-connected region of background that does not reach the slice's
/// rim, takes the label along most of its border (of equal ones the lowest), counted in pairs of 4-neighbors. What a
/// structure encloses of another one, as the myocardium does the LV, stays. No structure leaves or enters a slice.
///
/// `threads` at most work on it, 0: as many as there are cores; the results do not depend on that. Throws
/// std::invalid_argument for extents that are not those of `labels`, and for labels above 3.
std::int64_t keep_largest_component(std::span<std::uint8_t> labels, std::int64_t slices, std::int64_t rows,
                                    std::int64_t columns, int threads = 1);

}  // namespace cardiacseg::ops
