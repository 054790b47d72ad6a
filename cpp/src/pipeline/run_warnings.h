#pragma once

#include <vector>

#include "cardiacseg/segmentation.h"
#include "cardiacseg/views.h"

namespace cardiacseg {

/// What makes the labels of `cine` doubtful: W_PIXEL_SIZE, W_SPACING_ORDER, W_QUALITY.
std::vector<RunWarning> run_warnings(const CineView& cine, const Segmentation& result);

}  // namespace cardiacseg
