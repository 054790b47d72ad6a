#include "pipeline/input_checks.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "cardiacseg/error.h"
#include "ops/read_row.h"
#include "pipeline/cine_pixels.h"
#include "text.h"

namespace cardiacseg {
namespace {

constexpr std::array<const char*, 4> kAxes{"frames", "slices", "rows", "columns"};
constexpr std::array<std::int64_t, 4> kLargest{10000, 512, 4096, 4096};

struct Limits {
  double smallest;
  double largest;
};
constexpr Limits kSliceSpacing{0.1, 100.0};
constexpr Limits kInPlaneSpacing{0.1, 8.0};
constexpr Limits kFieldOfView{20.0, 1500.0};

/// Row and column spacing of an image of the body are equal, or nearly so.
constexpr double kLargestPixelRatio = 2.0;

/// More slices than a stack has, in an image with fewer pixels along an axis than a heart needs.
constexpr std::int64_t kManySlices = 64;
constexpr std::int64_t kFewPixels = 32;

/// In-plane pixel sizes in mm at which hearts of adults and children are imaged.
constexpr double kSmallestPixel = 0.5;
constexpr double kLargestPixel = 4.0;

/// Column over row spacing from which a spacing whose first two numbers are equal is likelier (x, y, z).
constexpr double kLikelyReversed = 1.25;

/// Predicted mean Dice below which labels are likelier nonsense than inexact.
constexpr float kDoubtfulQuality = 0.5F;

bool is_usual(double pixel) { return pixel >= kSmallestPixel && pixel <= kLargestPixel; }

bool looks_reversed(const Spacing& spacing) {
  return std::abs(spacing.slice - spacing.row) <= 1e-3 * spacing.row && spacing.column >= kLikelyReversed * spacing.row;
}

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

void check_volume(const CineShape& shape) {
  if (shape.voxels_per_frame() > std::numeric_limits<std::uint32_t>::max()) {
    refuse("a frame must have fewer than 2^32 pixels, got " + std::to_string(shape.voxels_per_frame()));
  }
}

/// Refuses what must be (x, y, z) or (x, y, z, t), as NIfTI's readers give it.
void check_axes(const CineShape& shape) {
  if (shape.slices <= kManySlices || std::min(shape.rows, shape.columns) >= kFewPixels) return;
  const bool cine = shape.frames > 1;
  TextStream message;
  message << "expected the axes " << (cine ? "[frames, slices, rows, columns]" : "[slices, rows, columns]")
          << ", got [";
  if (cine) message << shape.frames << ", ";
  message << shape.slices << ", " << shape.rows << ", " << shape.columns << "], which looks like "
          << (cine ? "[x, y, z, t]" : "[x, y, z]") << ": reverse the order of the axes";
  refuse(message.str());
}

void check_length(const std::string& what, double millimetres, const Limits& limits) {
  if (millimetres >= limits.smallest && millimetres <= limits.largest) return;
  TextStream message;
  message << what << " must be " << limits.smallest << " to " << limits.largest << " mm, got " << millimetres;
  refuse(message.str());
}

/// Refuses pixels far from square, as a spacing in another order makes them. Numbers that are no lengths of a pixel are
/// refused elsewhere.
void check_pixel_ratio(const Spacing& spacing) {
  const auto [shorter, longer] = std::minmax(spacing.row, spacing.column);
  if (!(shorter >= kInPlaneSpacing.smallest) || !(longer > kLargestPixelRatio * shorter)) return;
  TextStream message;
  message << "row and column spacing must be within a factor of " << kLargestPixelRatio << ", got " << spacing.row
          << " and " << spacing.column << " mm: expected a spacing of (slice, row, column), got (" << spacing.slice
          << ", " << spacing.row << ", " << spacing.column << ')';
  if (spacing.column > kLargestPixelRatio * spacing.slice) message << ", which looks like (x, y, z)";
  refuse(message.str());
}

void check_lengths(const CineView& cine) {
  const auto [slice, row, column] = cine.spacing;
  check_pixel_ratio(cine.spacing);
  check_length("the slice spacing", slice, kSliceSpacing);
  check_length("the row spacing", row, kInPlaneSpacing);
  check_length("the column spacing", column, kInPlaneSpacing);
  check_length("the field of view (rows x row spacing)", static_cast<double>(cine.shape.rows) * row, kFieldOfView);
  check_length("the field of view (columns x column spacing)", static_cast<double>(cine.shape.columns) * column,
               kFieldOfView);
}

[[noreturn]] void refuse_pixel(std::int64_t frame, std::int64_t slice, std::int64_t row, std::int64_t column,
                               float value) {
  TextStream message;
  message << "every pixel must be finite as float32, got " << value << " at frame " << frame << ", slice " << slice
          << ", row " << row << ", column " << column << " (counted from 0)";
  refuse(message.str());
}

bool can_be_infinite(PixelType type) { return type == PixelType::float32 || type == PixelType::float64; }

/// `row` is room for one of the frame's rows.
void check_frame(const ops::Pixels& pixels, std::int64_t frame, std::span<float> row) {
  bool varied = false;
  float first = 0;
  for (std::int64_t line = 0; line < pixels.slices * pixels.rows; ++line) {
    if (varied && !can_be_infinite(pixels.type)) break;
    ops::read_row(pixels.row(0, line / pixels.rows, line % pixels.rows), pixels.type, pixels.column_step, row);
    const auto odd = std::find_if(row.begin(), row.end(), [](float value) { return !std::isfinite(value); });
    if (odd != row.end()) refuse_pixel(frame, line / pixels.rows, line % pixels.rows, odd - row.begin(), *odd);
    if (line == 0) first = row.front();
    varied = varied || std::any_of(row.begin(), row.end(), [first](float value) { return value != first; });
  }
  if (varied) return;
  TextStream message;
  message << "every frame must show something, but all pixels of frame " << frame << " (counted from 0) are " << first;
  refuse(message.str());
}

}  // namespace

void check_geometry(const CineView& cine) {
  check_shape(cine.shape);
  check_volume(cine.shape);
  check_axes(cine.shape);
  check_lengths(cine);
  if (cine.data == nullptr) refuse("the image has no data: its pointer is null");
}

void check_cine(const CineView& cine) {
  check_geometry(cine);
  std::vector<float> row(static_cast<std::size_t>(cine.shape.columns));
  for (std::int64_t frame = 0; frame < cine.shape.frames; ++frame) check_frame(pixels_of(cine, frame, 1), frame, row);
}

void require_geometry(const CineShape& shape, const Spacing& spacing, PixelType type) {
  constexpr std::byte something{};
  check_geometry(CineView::contiguous(&something, type, shape, spacing));
}

std::vector<RunWarning> run_warnings(const CineView& cine, const Segmentation& result) {
  std::vector<RunWarning> found;
  const Spacing& spacing = cine.spacing;
  if (!is_usual(spacing.row) || !is_usual(spacing.column)) {
    found.push_back({"W_PIXEL_SIZE", text_of<3>("pixels of ", spacing.row, " x ", spacing.column,
                                                " mm: human hearts are imaged with pixels of ", kSmallestPixel, " to ",
                                                kLargestPixel, " mm; spacing is (slice, row, column) in mm")});
  }
  if (looks_reversed(spacing)) {
    found.push_back(
        {"W_SPACING_ORDER", text_of<3>("a spacing of (", spacing.slice, ", ", spacing.row, ", ", spacing.column,
                                       ") looks like (x, y, z); expected (slice, row, column)")});
  }
  const auto is_doubtful = [](float quality) { return quality < kDoubtfulQuality; };
  const auto doubtful = std::count_if(result.quality.begin(), result.quality.end(), is_doubtful);
  if (doubtful > 0) {
    const float lowest = *std::min_element(result.quality.begin(), result.quality.end());
    found.push_back(
        {"W_QUALITY", text_of<3>("the predicted mean Dice is below ", kDoubtfulQuality, " in ", doubtful, " of ",
                                 result.quality.size(), " frames, the lowest is ", lowest,
                                 ": the image may not be a short-axis cine, or its spacing or axes are wrong")});
  }
  return found;
}

}  // namespace cardiacseg
