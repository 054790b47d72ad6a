#pragma once

#include <optional>
#include <span>

#include "cardiacseg/measurements.h"

namespace cardiacseg {

/// Rates of the curve `ml` at ascending `times_ms`, as VolumeRates says. The beat lasts `rr_interval_ms`; where that is
/// absent, or not longer than from the first frame to the last, as many mean frame intervals as there are frames.
/// Absent where the curve is 0 throughout, or too few frames cover the beat for three harmonics.
std::optional<VolumeRates> volume_rates(std::span<const double> ml, std::span<const double> times_ms,
                                        std::optional<double> rr_interval_ms);

}  // namespace cardiacseg
