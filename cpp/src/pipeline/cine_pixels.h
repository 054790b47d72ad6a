#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cardiacseg/views.h"
#include "ops/pixels.h"

namespace cardiacseg {

/// `count` frames of `cine` from frame `first` on, read in place.
ops::Pixels pixels_of(const CineView& cine, std::int64_t first, std::int64_t count);

/// Whether pixel follows pixel in C order.
bool is_contiguous(const CineView& cine);

/// Copies `count` frames of `cine`, which lies in host memory, from frame `first` on, to `to`: contiguous, in C order.
/// `threads` at most work on it; 0: all cores.
void copy_contiguous(const CineView& cine, std::int64_t first, std::int64_t count, int threads, std::byte* to);

/// A cine in host memory of its own.
struct OwnedCine {
  std::vector<std::byte> pixels;
  CineView cine;

  OwnedCine(const CineShape& shape, const Spacing& spacing, PixelType type);
};

/// A synthetic picture that shows no heart: pixels that go from 0 to 99, again and again.
OwnedCine synthetic_cine(const CineShape& shape, const Spacing& spacing, PixelType type);

}  // namespace cardiacseg
