#pragma once

#include <cstdint>
#include <span>

#include "cardiacseg/views.h"
#include "measure/slice_pixels.h"

namespace cardiacseg {

/// Number of pixels of the LV's cavity that are papillary muscle or trabeculae: those darker than the middle between
/// the medians of blood and myocardium. `image` [rows, columns] holds the signals of the slice. 0 if the slice has no
/// myocardium, or if blood is not brighter. Partition of the cavity by a threshold between the two signals: Codella et
/// al., Radiology 2008, 248:1004; Lee et al., J Magn Reson Imaging 2008, 28:1393. Pixels that are not finite stay
/// blood.
std::int64_t papillary_pixels(const LabelSlice& labels, std::span<const float> image);

/// Moves them from the LV to the myocardium, in each slice of each frame.
void move_papillary_muscles(const LabelView& labels, const CineView& image, std::span<StructurePixels> pixels);

}  // namespace cardiacseg
