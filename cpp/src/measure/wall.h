#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "cardiacseg/measurements.h"

namespace cardiacseg {

/// Mean wall thickness in the AHA's segments 1 to 16 (Cerqueira et al., Circulation 2002, 105:539) of frames `ed` and
/// `es`. In each frame the slices with a closed ring of myocardium that `included` has for the myocardium are divided
/// evenly into base, middle and apex, in this order from `base_first`; if their number is not divisible by three, the
/// levels nearer to the base have one more. Base and middle have six segments of 60 degrees. They start at the anterior
/// insertion of the RV's wall and go through the septum: anteroseptal, inferoseptal, inferior, inferolateral,
/// anterolateral, anterior. The apex has four of 90 degrees, the septal one with the same middle as the septum's two.
/// If a slice has the RV beside less than 75 degrees of its ring, it uses the insertion of the nearest slice with more;
/// if no slice has more, that of the slice with most.
std::optional<WallThickness> wall_thickness(const LabelView& labels, std::int64_t ed, std::optional<std::int64_t> es,
                                            bool base_first, const MeasurementInputs& inputs);

}  // namespace cardiacseg
