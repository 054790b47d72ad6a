#include "pipeline/input_checks.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <sstream>
#include <string>
#include <vector>

#include "cardiacseg/error.h"
#include "pipeline/read_stack.h"

namespace cardiacseg {
namespace {

constexpr std::array<const char*, 4> kAxes{"frames", "slices", "rows", "columns"};
constexpr std::array<std::int64_t, 4> kLargest{10000, 512, 4096, 4096};

struct Limits {
  double smallest;
  double largest;
};
constexpr Limits kSliceSpacing{0.1, 100.0};
constexpr Limits kInPlaneSpacing{0.1, 20.0};
constexpr Limits kFieldOfView{20.0, 1500.0};

[[noreturn]] void refuse(const std::string& message) { throw Error(ErrorCode::invalid_input, message); }

void check_shape(const CineShape& shape) {
  const std::array<std::int64_t, 4> sizes{shape.frames, shape.slices, shape.rows, shape.columns};
  for (std::size_t axis = 0; axis < sizes.size(); ++axis) {
    if (sizes[axis] < 1 || sizes[axis] > kLargest[axis]) {
      refuse("the image must have 1 to " + std::to_string(kLargest[axis]) + " " + kAxes[axis] + ", got " +
             std::to_string(sizes[axis]));
    }
  }
}

void check_length(const std::string& what, double millimetres, const Limits& limits) {
  if (!(millimetres >= limits.smallest && millimetres <= limits.largest)) {
    std::ostringstream message;
    message << what << " must be " << limits.smallest << " to " << limits.largest << " mm, got " << millimetres;
    refuse(message.str());
  }
}

void check_lengths(const CineView& cine) {
  check_length("the slice spacing", cine.spacing.slice, kSliceSpacing);
  check_length("the row spacing", cine.spacing.row, kInPlaneSpacing);
  check_length("the column spacing", cine.spacing.column, kInPlaneSpacing);
  check_length("the field of view (rows x row spacing)", static_cast<double>(cine.shape.rows) * cine.spacing.row,
               kFieldOfView);
  check_length("the field of view (columns x column spacing)",
               static_cast<double>(cine.shape.columns) * cine.spacing.column, kFieldOfView);
}

[[noreturn]] void refuse_pixel(const CineShape& shape, std::int64_t frame, std::int64_t index, float value) {
  const std::int64_t plane = shape.rows * shape.columns;
  std::ostringstream message;
  message << "every pixel must be finite as float32, got " << value << " at frame " << frame << ", slice "
          << index / plane << ", row " << index % plane / shape.columns << ", column " << index % shape.columns
          << " (counted from 0)";
  refuse(message.str());
}

void check_frame(const CineShape& shape, std::int64_t frame, std::span<const float> stack) {
  const auto odd = std::find_if(stack.begin(), stack.end(), [](float value) { return !std::isfinite(value); });
  if (odd != stack.end()) refuse_pixel(shape, frame, odd - stack.begin(), *odd);
  const auto other = std::find_if(stack.begin(), stack.end(), [&](float value) { return value != stack.front(); });
  if (other == stack.end()) {
    std::ostringstream message;
    message << "every frame must show something, but all pixels of frame " << frame << " (counted from 0) are "
            << stack.front();
    refuse(message.str());
  }
}

}  // namespace

void check_cine(const CineView& cine) {
  check_shape(cine.shape);
  check_lengths(cine);
  if (cine.data == nullptr) refuse("the image has no data: its pointer is null");
  std::vector<float> stack(static_cast<std::size_t>(cine.shape.voxels_per_frame()));
  for (std::int64_t frame = 0; frame < cine.shape.frames; ++frame) {
    read_stack(cine, frame, stack);
    check_frame(cine.shape, frame, stack);
  }
}

}  // namespace cardiacseg
