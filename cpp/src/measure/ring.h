#pragma once

#include <array>
#include <optional>

#include "measure/slice_pixels.h"

namespace cardiacseg {

/// Rays from the center of the LV's cavity, a degree apart; ray k points to (rows, columns) = (sin k, cos k) in mm.
inline constexpr int kRays = 360;

/// The myocardium around the cavity of one slice, along each ray.
struct Ring {
  std::array<bool, kRays> walled{};          ///< whether myocardium lies directly outside the cavity
  std::array<double, kRays> thickness_mm{};  ///< across the wall; 0 if there is none
  std::array<bool, kRays> beside_rv{};       ///< whether the RV begins within 3 mm outside the wall
};

/// The ring of a slice. Absent if the centroid of the LV's cavity lies outside the LV, or if myocardium is missing
/// along more than 5 % of the rays: segments are defined for slices with myocardium all around (Cerqueira et al.,
/// Circulation 2002, 105:539).
///
/// Along a ray the wall reaches from the point at which the ray last leaves the LV to the point at which it leaves the
/// myocardium. The thickness is that length times the cosine of the angle between the ray and the normal of the middle
/// of the wall. For parallel surfaces this is the centerline method (Sheehan et al., Circulation 1986, 74:293). The
/// direction of the middle is taken over 24 degrees.
std::optional<Ring> trace_ring(const LabelSlice& slice);

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
