#pragma once

#include <cstddef>
#include <cstdint>

#include "cardiacseg/views.h"

namespace cardiacseg {

/// Whether pixel follows pixel in C order.
bool is_contiguous(const CineView& cine);

/// Copies `count` frames of `cine`, which lies in host memory, from frame `first` on, to `to`: contiguous, in C order.
/// `threads` at most work on it; 0: all cores.
void gather(const CineView& cine, std::int64_t first, std::int64_t count, int threads, std::byte* to);

}  // namespace cardiacseg
