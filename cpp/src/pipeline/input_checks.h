#pragma once

#include <vector>

#include "cardiacseg/segmentation.h"
#include "cardiacseg/views.h"

namespace cardiacseg {

/// Refuses what cannot be a short-axis cine: sizes outside 1 to 10000 frames, 512 slices, 4096 rows and columns,
/// 2^32 - 1 pixels a frame; axes that must be [x, y, z] or [x, y, z, t]; spacings outside 0.1 to 8 mm in plane and 0.1
/// to 100 mm between slices; row and column spacing apart by a factor of more than 2; a field of view outside 20 to
/// 1500 mm; a pixel that is not finite as float32; a frame whose pixels are all equal. Throws
/// Error(invalid_input).
void check_cine(const CineView& cine);

/// The part of it that looks at no pixel.
void check_geometry(const CineView& cine);

/// The same for a cine that is not there yet.
void require_geometry(const CineShape& shape, const Spacing& spacing, PixelType type);

/// What makes the labels of `cine` doubtful: W_PIXEL_SIZE, W_SPACING_ORDER, W_QUALITY.
std::vector<RunWarning> run_warnings(const CineView& cine, const Segmentation& result);

}  // namespace cardiacseg
