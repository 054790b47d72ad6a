#pragma once

#include <cstdint>
#include <vector>

namespace cardiacseg::ops {

/// Windows along an axis, as nnU-Net places them. An axis shorter than the window is padded to it, half of the padding
/// before it (rounded down). The windows overlap by half or more and lie at equal steps, the last one at the end.
///
/// Where windows overlap, each pixel of a window counts with a Gaussian round pixel window / 2 with a standard
/// deviation of window / 8, divided by the sum of all windows' there. In two axes the weight is the product.
struct WindowAxis {
  std::int64_t window;               ///< pixels of each
  std::int64_t before;               ///< padding before the first pixel
  std::int64_t padded;               ///< pixels with padding, at least `window`
  std::vector<std::int64_t> starts;  ///< on the padded axis
  std::vector<float> weights;        ///< `[starts, window]`; 1 if there is one window
};

/// Throws std::invalid_argument unless both are 1 or more.
WindowAxis window_axis(std::int64_t pixels, std::int64_t window);

}  // namespace cardiacseg::ops
