#pragma once

#include <cstdint>
#include <span>

#include "cardiacseg/views.h"
#include "measure/slice_pixels.h"

namespace cardiacseg {

/// Pixels of the LV's cavity that are papillary muscle or trabeculae: those darker than the middle between the medians
/// of blood and myocardium, of whose signals `image` [rows, columns] is the slice. 0 where the slice has no myocardium,
/// or blood is not brighter. Partition of the cavity by a threshold between the two signals: Codella et al., Radiology
/// 2008, 248:1004; Lee et al., J Magn Reson Imaging 2008, 28:1393. Pixels that are not finite stay blood.
std::int64_t papillary_pixels(const LabelSlice& labels, std::span<const float> image);

/// Moves them from the LV to the myocardium, in each slice of each frame.
void move_papillary_muscles(const LabelView& labels, const CineView& image, std::span<StructurePixels> pixels);

}  // namespace cardiacseg
