#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "ops/mask_fusion_common.h"

// The loops of the host version. The compiler vectorizes each if told that no arithmetic traps.
namespace cardiacseg::ops {

/// The voxels of an axis whose centers lie inside a crop: they follow each other.
struct InsideAxis {
  std::size_t first = 0;
  std::vector<std::int32_t> lower;  ///< the crop's pixels on both sides of each
  std::vector<std::int32_t> upper;
  std::vector<float> share;  ///< of the upper one

  std::size_t size() const { return lower.size(); }
};

inline std::vector<AxisPoint> axis_points(std::int64_t length, double ratio) {
  std::vector<AxisPoint> points;
  points.reserve(static_cast<std::size_t>(length));
  for (std::int64_t i = 0; i < length; ++i) points.push_back(axis_point(i, ratio));
  return points;
}

inline InsideAxis inside_axis(const std::vector<AxisPoint>& points, std::int32_t origin, std::int64_t length) {
  InsideAxis axis;
  for (std::size_t i = 0; i < points.size(); ++i) {
    const Neighbors around = neighbors(points[i], origin, static_cast<std::int32_t>(length));
    if (!around.inside) continue;
    if (axis.lower.empty()) axis.first = i;
    axis.lower.push_back(around.lower);
    axis.upper.push_back(around.upper);
    axis.share.push_back(around.upper_share);
  }
  return axis;
}

/// One row of four planes.
template <class T>
struct PlaneRow {
  T* background;
  T* rv;
  T* myo;
  T* lv;
};

template <class T>
PlaneRow<T> plane_row(T* start, std::size_t stride) {
  return {start, start + stride, start + 2 * stride, start + 3 * stride};
}

/// Probabilities of a row of pixels.
inline void softmax_row(PlaneRow<const float> logits, float scale, Gate gate, std::size_t length,
                        PlaneRow<float> result) {
#pragma GCC ivdep
  for (std::size_t i = 0; i < length; ++i) {
    const Probabilities p =
        gated_softmax({{logits.background[i], logits.rv[i], logits.myo[i], logits.lv[i]}}, scale, gate);
    result.background[i] = p.of[0];
    result.rv[i] = p.of[1];
    result.myo[i] = p.of[2];
    result.lv[i] = p.of[3];
  }
}

/// A row of the crop's pixels at the columns of the voxels.
inline void expand_row(PlaneRow<const float> pixels, const InsideAxis& columns, PlaneRow<float> result) {
  const std::int32_t* lower = columns.lower.data();
  const std::int32_t* upper = columns.upper.data();
  const float* share = columns.share.data();
  const std::size_t length = columns.size();
#pragma GCC ivdep
  for (std::size_t i = 0; i < length; ++i) {
    result.background[i] = blend(pixels.background[lower[i]], pixels.background[upper[i]], share[i]);
    result.rv[i] = blend(pixels.rv[lower[i]], pixels.rv[upper[i]], share[i]);
    result.myo[i] = blend(pixels.myo[lower[i]], pixels.myo[upper[i]], share[i]);
    result.lv[i] = blend(pixels.lv[lower[i]], pixels.lv[upper[i]], share[i]);
  }
}

inline Probabilities blended(PlaneRow<const float> above, PlaneRow<const float> below, float share, std::size_t i) {
  return {{blend(above.background[i], below.background[i], share), blend(above.rv[i], below.rv[i], share),
           blend(above.myo[i], below.myo[i], share), blend(above.lv[i], below.lv[i], share)}};
}

inline void label_row(PlaneRow<const float> above, PlaneRow<const float> below, float share, std::size_t length,
                      std::uint8_t* labels) {
#pragma GCC ivdep
  for (std::size_t i = 0; i < length; ++i) {
    labels[i] = static_cast<std::uint8_t>(best_label(blended(above, below, share, i)));
  }
}

inline void share_row(PlaneRow<const float> above, PlaneRow<const float> below, float share, std::size_t length,
                      PlaneRow<float> result) {
#pragma GCC ivdep
  for (std::size_t i = 0; i < length; ++i) {
    const Probabilities p = with_sum_of_one(blended(above, below, share, i));
    result.background[i] = p.of[0];
    result.rv[i] = p.of[1];
    result.myo[i] = p.of[2];
    result.lv[i] = p.of[3];
  }
}

}  // namespace cardiacseg::ops
