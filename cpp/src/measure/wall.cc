#include "measure/wall.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <vector>

#include "measure/ring.h"

namespace cardiacseg {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr std::int64_t kMyo = 1;  // place in `included`
constexpr int kLevels = 3;
constexpr int kReliableDegrees = 75;

using Segments = std::array<double, kWallSegments>;

struct RingSlice {
  std::int64_t slice;
  Ring ring;
  std::optional<Septum> septum;
};

bool counts(const LabelView& labels, std::span<const std::uint8_t> included, std::int64_t frame, std::int64_t slice) {
  if (included.empty()) return true;
  return included[static_cast<std::size_t>((frame * labels.shape.slices + slice) * kStructureCount + kMyo)] != 0;
}

/// The rings of a frame, from the base on.
std::vector<RingSlice> rings_of(const LabelView& labels, std::int64_t frame, bool base_first,
                                const MeasurementInputs& inputs) {
  std::vector<RingSlice> rings;
  for (std::int64_t slice = 0; slice < labels.shape.slices; ++slice) {
    if (!counts(labels, inputs.included, frame, slice)) continue;
    if (const auto ring = trace_ring(slice_of(labels, frame, slice))) {
      rings.push_back({slice, *ring, find_septum(*ring, inputs.anterior)});
    }
  }
  if (!base_first) std::reverse(rings.begin(), rings.end());
  return rings;
}

/// Degrees from which a septum is reliable: towards the apex the RV becomes narrow and its insertion moves.
int reliable_degrees(const std::vector<RingSlice>& rings) {
  int longest = 0;
  for (const RingSlice& ring : rings) longest = std::max(longest, ring.septum ? ring.septum->degrees : 0);
  return std::min(longest, kReliableDegrees);
}

/// The reliable septum nearest to `slice`; of two at equal distance, the one nearer to the base.
std::optional<Septum> nearest_septum(const std::vector<RingSlice>& rings, std::int64_t slice) {
  const int required = reliable_degrees(rings);
  std::optional<Septum> nearest;
  std::int64_t distance = std::numeric_limits<std::int64_t>::max();
  for (const RingSlice& ring : rings) {
    if (!ring.septum || ring.septum->degrees < required || std::abs(ring.slice - slice) >= distance) continue;
    nearest = ring.septum;
    distance = std::abs(ring.slice - slice);
  }
  return nearest;
}

/// Index of the segment, from 0 on, that lies `degrees` past the anterior insertion.
std::size_t segment_at(int level, int degrees) {
  const int segment =
      level < kLevels - 1 ? 6 * level + (degrees / 60 + 1) % 6 : 12 + ((degrees + kRays - 15) % kRays / 90 + 1) % 4;
  return static_cast<std::size_t>(segment);
}

/// Level, 0 at the base, of slice `index` of `slices`, counted from the base.
int level_of(std::size_t index, std::size_t slices) {
  const std::size_t third = slices / kLevels;
  const std::size_t rest = slices % kLevels;  // levels that have one slice more
  const std::size_t in_longer = rest * (third + 1);
  return static_cast<int>(index < in_longer ? index / (third + 1) : rest + (index - in_longer) / third);
}

class SegmentMeans {
 public:
  void add(const Ring& ring, const Septum& septum, int level) {
    for (int degrees = 0; degrees < kRays; ++degrees) {
      const auto ray = static_cast<std::size_t>((septum.ray + septum.turn * degrees + kRays) % kRays);
      if (!ring.walled[ray]) continue;
      const std::size_t segment = segment_at(level, degrees);
      sums_[segment] += ring.thickness_mm[ray];
      ++rays_[segment];
    }
  }

  Segments values() const {
    Segments means;
    for (std::size_t i = 0; i < means.size(); ++i) means[i] = rays_[i] > 0 ? sums_[i] / rays_[i] : kNaN;
    return means;
  }

 private:
  Segments sums_{};
  std::array<int, kWallSegments> rays_{};
};

/// All NaN if no ring has the RV beside it.
Segments segments_of(const std::vector<RingSlice>& rings) {
  SegmentMeans means;
  for (std::size_t i = 0; i < rings.size(); ++i) {
    const auto septum = nearest_septum(rings, rings[i].slice);
    if (!septum) break;
    means.add(rings[i].ring, *septum, level_of(i, rings.size()));
  }
  return means.values();
}

}  // namespace

std::optional<WallThickness> wall_thickness(const LabelView& labels, std::int64_t ed, std::optional<std::int64_t> es,
                                            bool base_first, const MeasurementInputs& inputs) {
  const auto measured = [&](std::int64_t frame) { return segments_of(rings_of(labels, frame, base_first, inputs)); };
  WallThickness wall{};
  wall.ed_mm = measured(ed);
  if (std::all_of(wall.ed_mm.begin(), wall.ed_mm.end(), [](double mm) { return std::isnan(mm); })) return std::nullopt;
  wall.es_mm.fill(kNaN);
  if (es) wall.es_mm = measured(*es);
  for (std::size_t i = 0; i < wall.ed_mm.size(); ++i) {
    wall.thickening_percent[i] = 100 * (wall.es_mm[i] - wall.ed_mm[i]) / wall.ed_mm[i];
  }
  return wall;
}

}  // namespace cardiacseg
