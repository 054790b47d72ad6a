#pragma once

namespace cardiacseg::ops {

/// Intensities that become 0 and 1.
struct IntensityRange {
  float low;
  float high;
};

}  // namespace cardiacseg::ops
