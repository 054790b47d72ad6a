#include "measure/septum.h"

#include <cmath>
#include <numbers>

namespace cardiacseg {
namespace {

constexpr int kLargestInterruption = 15;
constexpr int kShortest = 20;
constexpr int kLongest = 300;

struct Arc {
  int first;
  int length;
};

bool touches(const Ring& ring, int ray) { return ring.beside_rv[static_cast<std::size_t>(ray % kRays)]; }

/// The arc that begins at `first`, which touches the RV, and ends before an interruption that is too long. Its last ray
/// touches the RV too.
Arc arc_from(const Ring& ring, int first) {
  int last = first;
  for (int ray = first + 1; ray < first + kRays && ray - last <= kLargestInterruption + 1; ++ray) {
    if (touches(ring, ray)) last = ray;
  }
  return {first, last - first + 1};
}

Arc longest_arc(const Ring& ring) {
  Arc longest{0, 0};
  for (int ray = 0; ray < kRays; ++ray) {
    if (!touches(ring, ray)) continue;
    const Arc arc = arc_from(ring, ray);
    if (arc.length > longest.length) longest = arc;
  }
  return longest;
}

double along(const std::array<double, 2>& direction, int ray) {
  const double angle = ray * 2 * std::numbers::pi / kRays;
  return direction[0] * std::sin(angle) + direction[1] * std::cos(angle);
}

}  // namespace

std::optional<Septum> find_septum(const Ring& ring, const std::array<double, 2>& anterior) {
  const Arc arc = longest_arc(ring);
  if (arc.length < kShortest || arc.length > kLongest) return std::nullopt;
  const int last = (arc.first + arc.length - 1) % kRays;
  if (along(anterior, arc.first) >= along(anterior, last)) return Septum{arc.first, 1, arc.length};
  return Septum{last, -1, arc.length};
}

}  // namespace cardiacseg
