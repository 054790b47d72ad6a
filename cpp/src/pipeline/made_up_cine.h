#pragma once

#include <cstddef>
#include <vector>

#include "cardiacseg/views.h"

namespace cardiacseg {

/// A picture that shows no heart, of the caller's kind.
struct MadeUpCine {
  std::vector<std::byte> pixels;
  CineView cine;
};

/// Pixels that go from 0 to 99, again and again. Throws Error(invalid_input) for a shape or spacing that cannot be.
MadeUpCine made_up_cine(const CineShape& shape, const Spacing& spacing, PixelType type);

}  // namespace cardiacseg
