#pragma once

#include <array>
#include <optional>

#include "measure/ring.h"

namespace cardiacseg {

/// Start and direction of the count of segments.
struct Septum {
  int ray;      ///< of the anterior insertion of the RV's wall
  int turn;     ///< 1 or -1: direction from there through the septum to the other insertion
  int degrees;  ///< from one insertion to the other
};

/// The insertions are the ends of the longest arc along which the ring has the RV beside it; interruptions of up to 15
/// degrees are ignored. The anterior one is farther along `anterior`, a vector (along rows, along columns). Absent if
/// the arc is shorter than 20 degrees or longer than 300.
std::optional<Septum> find_septum(const Ring& ring, const std::array<double, 2>& anterior);

}  // namespace cardiacseg
