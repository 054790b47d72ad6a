#pragma once

#include <optional>
#include <span>

#include "cardiacseg/measurements.h"

namespace cardiacseg {

/// Rates of the curve `ml` at ascending `times_ms`, as in VolumeRates. The cardiac cycle lasts `rr_interval_ms`; if
/// that is absent, or not longer than the time from the first to the last frame, it lasts as many mean frame intervals
/// as there are frames. Absent if the curve is 0 throughout, or if there are too few frames for three harmonics.
std::optional<VolumeRates> volume_rates(std::span<const double> ml, std::span<const double> times_ms,
                                        std::optional<double> rr_interval_ms);

}  // namespace cardiacseg
