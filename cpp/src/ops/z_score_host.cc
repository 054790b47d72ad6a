#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include "ops/read_row.h"
#include "ops/require.h"
#include "ops/z_score.h"

namespace cardiacseg::ops {
namespace {

/// Zeros that are connected to the rim of a stack.
class Outside {
 public:
  Outside(std::span<const float> voxels, const StackBox& box)
      : voxels_(voxels),
        extents_{box.slices, box.rows, box.columns},
        steps_{box.rows * box.columns, box.columns, 1},
        found_(voxels.size(), 0) {}

  std::vector<std::uint8_t> find() {
    for (std::int64_t at = 0; at < static_cast<std::int64_t>(voxels_.size()); ++at) {
      if (at_rim(at)) add(at);
    }
    while (!pending_.empty()) {
      const std::int64_t at = pending_.back();
      pending_.pop_back();
      for (std::size_t axis = 0; axis < extents_.size(); ++axis) {
        const std::int64_t place = at / steps_[axis] % extents_[axis];
        if (place > 0) add(at - steps_[axis]);
        if (place < extents_[axis] - 1) add(at + steps_[axis]);
      }
    }
    return std::move(found_);
  }

 private:
  bool at_rim(std::int64_t at) const {
    for (std::size_t axis = 0; axis < extents_.size(); ++axis) {
      const std::int64_t place = at / steps_[axis] % extents_[axis];
      if (place == 0 || place == extents_[axis] - 1) return true;
    }
    return false;
  }

  void add(std::int64_t at) {
    const auto index = static_cast<std::size_t>(at);
    if (voxels_[index] != 0 || found_[index] != 0) return;
    found_[index] = 1;
    pending_.push_back(at);
  }

  std::span<const float> voxels_;
  std::array<std::int64_t, 3> extents_;
  std::array<std::int64_t, 3> steps_;
  std::vector<std::uint8_t> found_;
  std::vector<std::int64_t> pending_;
};

std::span<float> read_into(const Pixels& pixels, std::int64_t stack, std::int64_t slice, std::int64_t row,
                           std::int64_t first, std::span<float> to) {
  read_row(pixels.row(stack, slice, row) + first * pixels.column_step, pixels.type, pixels.column_step, to);
  return to;
}

}  // namespace

StackBox nonzero_box(const Pixels& pixels, std::int64_t stack) {
  std::array<std::int64_t, 3> low{pixels.slices, pixels.rows, pixels.columns};
  std::array<std::int64_t, 3> high{-1, -1, -1};
  std::vector<float> line(static_cast<std::size_t>(pixels.columns));
  const auto some = [](float value) { return value != 0; };
  for (std::int64_t index = 0; index < pixels.slices * pixels.rows; ++index) {
    const std::array<std::int64_t, 2> place{index / pixels.rows, index % pixels.rows};
    read_into(pixels, stack, place[0], place[1], 0, line);
    const auto first = std::find_if(line.begin(), line.end(), some);
    if (first == line.end()) continue;
    const auto last = std::find_if(line.rbegin(), line.rend(), some);
    for (std::size_t axis = 0; axis < place.size(); ++axis) {
      low[axis] = std::min(low[axis], place[axis]);
      high[axis] = std::max(high[axis], place[axis]);
    }
    low[2] = std::min<std::int64_t>(low[2], first - line.begin());
    high[2] = std::max<std::int64_t>(high[2], line.rend() - last - 1);
  }
  if (high[0] < 0) return {0, 0, 0, 0, 0, 0};
  return {low[0], low[1], low[2], high[0] - low[0] + 1, high[1] - low[1] + 1, high[2] - low[2] + 1};
}

std::vector<float> read_box(const Pixels& pixels, std::int64_t stack, const StackBox& box) {
  std::vector<float> voxels(static_cast<std::size_t>(box.voxels()));
  const auto columns = static_cast<std::size_t>(box.columns);
  for (std::int64_t index = 0; index < box.slices * box.rows; ++index) {
    read_into(pixels, stack, box.first_slice + index / box.rows, box.first_row + index % box.rows, box.first_column,
              std::span(voxels).subspan(static_cast<std::size_t>(index) * columns, columns));
  }
  return voxels;
}

std::vector<std::uint8_t> nonzero_mask(std::span<const float> voxels, const StackBox& box) {
  require_size("voxels of nonzero_mask", voxels.size(), {box.slices, box.rows, box.columns});
  std::vector<std::uint8_t> mask = Outside(voxels, box).find();
  for (std::uint8_t& voxel : mask) voxel = voxel == 0 ? 1 : 0;
  return mask;
}

void z_score(std::span<float> voxels, std::span<const std::uint8_t> mask) {
  const auto counts = [mask](std::size_t index) { return mask.empty() || mask[index] != 0; };
  if (!mask.empty()) require_size("mask of z_score", mask.size(), {static_cast<std::int64_t>(voxels.size())});
  double sum = 0;
  double number = 0;
  for (std::size_t index = 0; index < voxels.size(); ++index) {
    if (!counts(index)) continue;
    sum += voxels[index];
    ++number;
  }
  if (number == 0) return;
  const auto mean = static_cast<float>(sum / number);
  double squares = 0;
  for (std::size_t index = 0; index < voxels.size(); ++index) {
    const double difference = static_cast<double>(voxels[index]) - sum / number;
    if (counts(index)) squares += difference * difference;
  }
  const float width = std::max(static_cast<float>(std::sqrt(squares / number)), 1e-8F);
  for (std::size_t index = 0; index < voxels.size(); ++index) {
    if (counts(index)) voxels[index] = (voxels[index] - mean) / width;
  }
}

}  // namespace cardiacseg::ops
