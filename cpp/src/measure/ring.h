#pragma once

#include <array>
#include <optional>

#include "measure/slice_pixels.h"

namespace cardiacseg {

/// Rays from the centre of the LV's cavity, a degree apart; ray k points to (rows, columns) = (sin k, cos k) in mm.
inline constexpr int kRays = 360;

/// The myocardium round the cavity of one slice, along each ray.
struct Ring {
  std::array<bool, kRays> walled{};          ///< whether myocardium lies there, right outside of the cavity
  std::array<double, kRays> thickness_mm{};  ///< across the wall; 0 where there is none
  std::array<bool, kRays> beside_rv{};       ///< whether the RV begins within 3 mm outside of it
};

/// The ring of a slice, absent where the centroid of the LV's cavity lies outside of the LV or myocardium is missing
/// along more than 5 % of the rays: segments are those of slices with myocardium all round (Cerqueira et al.,
/// Circulation 2002, 105:539).
///
/// Along a ray the wall reaches from where it last leaves the LV to where it leaves the myocardium. The thickness is
/// that length times the cosine of the angle between the ray and the normal of the middle of the wall, as the
/// centreline method has it (Sheehan et al., Circulation 1986, 74:293) where both surfaces run alike; the middle's
/// direction is taken over 24 degrees.
std::optional<Ring> trace_ring(const LabelSlice& slice);

}  // namespace cardiacseg
