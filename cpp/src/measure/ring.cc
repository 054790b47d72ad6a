#include "measure/ring.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace cardiacseg {
namespace {

constexpr double kStepsPerPixel = 10;
constexpr double kRvReach = 3;  // mm
constexpr double kRvReachPixels = 10;
constexpr int kMostOpenRays = 18;   // 5 % of 360
constexpr int kHalfDirection = 12;  // rays on either side that give the direction of the wall's middle
constexpr double kRayAngle = 2 * std::numbers::pi / kRays;

/// In pixels from the center of the first pixel.
struct Point {
  double row;
  double column;
};

/// Distances from the center at which a ray enters and leaves the wall, in mm.
struct Crossing {
  double inner = 0;
  double outer = 0;
  bool beside_rv = false;
  bool walled() const { return outer > inner; }
};
using Crossings = std::array<Crossing, kRays>;

std::optional<Point> cavity_center(const LabelSlice& slice) {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t pixels = 0;
  for (std::int64_t row = 0; row < slice.rows; ++row) {
    for (std::int64_t column = 0; column < slice.columns; ++column) {
      if (slice.at(row, column) != Label::left_ventricle) continue;
      rows += row;
      columns += column;
      ++pixels;
    }
  }
  if (pixels == 0) return std::nullopt;
  const auto count = static_cast<double>(pixels);
  return Point{static_cast<double>(rows) / count, static_cast<double>(columns) / count};
}

/// The label at a point, background outside the slice.
Label label_at(const LabelSlice& slice, const Point& point) {
  const auto row = static_cast<std::int64_t>(std::floor(point.row + 0.5));
  const auto column = static_cast<std::int64_t>(std::floor(point.column + 0.5));
  const bool inside = row >= 0 && row < slice.rows && column >= 0 && column < slice.columns;
  return inside ? slice.at(row, column) : Label::background;
}

/// A ray from `center`, which must lie in the LV, in steps of a tenth of a pixel along the axis on which it moves
/// fastest.
class Ray {
 public:
  Ray(const LabelSlice& slice, const Point& center, int number)
      : slice_(slice), center_(center), down_(std::sin(number * kRayAngle)), right_(std::cos(number * kRayAngle)) {
    const double pixels_per_mm = std::max(std::abs(down_) / slice.row_mm, std::abs(right_) / slice.column_mm);
    step_mm_ = 1 / (kStepsPerPixel * pixels_per_mm);
    down_ *= step_mm_ / slice.row_mm;
    right_ *= step_mm_ / slice.column_mm;
  }

  Crossing crossing() const {
    Crossing found;
    Label before = Label::left_ventricle;
    for (std::int64_t step = 1;; ++step) {
      const Label label = at(step);
      if (label == Label::myocardium && before == Label::left_ventricle) found.inner = place(step);
      if (label == Label::background || label == Label::right_ventricle) {
        if (before == Label::myocardium) found.outer = place(step);
        found.beside_rv = found.walled() && rv_from(step);
        return found;
      }
      before = label;
    }
  }

 private:
  Label at(std::int64_t step) const {
    const auto steps = static_cast<double>(step);
    return label_at(slice_, {center_.row + steps * down_, center_.column + steps * right_});
  }

  /// The boundary between this step and the one before.
  double place(std::int64_t step) const { return (static_cast<double>(step) - 0.5) * step_mm_; }

  bool rv_from(std::int64_t step) const {
    const auto steps = static_cast<std::int64_t>(std::min(kRvReach / step_mm_, kRvReachPixels * kStepsPerPixel));
    for (const std::int64_t last = step + steps; step <= last; ++step) {
      if (at(step) == Label::right_ventricle) return true;
    }
    return false;
  }

  const LabelSlice& slice_;
  Point center_;
  double down_;  // pixels a step
  double right_;
  double step_mm_;
};

/// Distance of the middle of the wall from the center.
double middle(const Crossing& crossing) { return (crossing.inner + crossing.outer) / 2; }

/// Cosine of the angle between ray `number` and the normal of the middle of the wall; 1 if an adjacent ray has no wall.
double obliquity(const Crossings& rays, int number) {
  const Crossing& before = rays[static_cast<std::size_t>((number + kRays - kHalfDirection) % kRays)];
  const Crossing& after = rays[static_cast<std::size_t>((number + kHalfDirection) % kRays)];
  if (!before.walled() || !after.walled()) return 1;
  const double across = middle(rays[static_cast<std::size_t>(number)]);
  const double along = (middle(after) - middle(before)) / (2 * kHalfDirection * kRayAngle);
  return across / std::hypot(across, along);
}

}  // namespace

std::optional<Ring> trace_ring(const LabelSlice& slice) {
  const std::optional<Point> center = cavity_center(slice);
  if (!center || label_at(slice, *center) != Label::left_ventricle) return std::nullopt;
  Crossings rays;
  for (int number = 0; number < kRays; ++number) {
    rays[static_cast<std::size_t>(number)] = Ray(slice, *center, number).crossing();
  }
  if (std::count_if(rays.begin(), rays.end(), [](const Crossing& ray) { return !ray.walled(); }) > kMostOpenRays) {
    return std::nullopt;
  }
  Ring ring;
  for (int number = 0; number < kRays; ++number) {
    const auto ray = static_cast<std::size_t>(number);
    ring.walled[ray] = rays[ray].walled();
    ring.beside_rv[ray] = rays[ray].beside_rv;
    if (ring.walled[ray]) ring.thickness_mm[ray] = (rays[ray].outer - rays[ray].inner) * obliquity(rays, number);
  }
  return ring;
}

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
