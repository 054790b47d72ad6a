#pragma once

#include <array>
#include <optional>

#include "measure/ring.h"

namespace cardiacseg {

/// Where the counting of segments starts, and which way it goes.
struct Septum {
  int ray;      ///< of the anterior insertion of the RV's wall
  int turn;     ///< 1 or -1: what to add to come from there through the septum to the other insertion
  int degrees;  ///< from the one to the other
};

/// The insertions are the ends of the longest arc along which the ring has the RV beside it; interruptions of up to 15
/// degrees are passed over. The anterior one is farther along `anterior`, a vector (along rows, along columns). Absent
/// where the arc is shorter than 20 degrees or longer than 300.
std::optional<Septum> find_septum(const Ring& ring, const std::array<double, 2>& anterior);

}  // namespace cardiacseg
