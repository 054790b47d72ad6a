#include "measure/checks.h"

#include <cmath>
#include <limits>
#include <sstream>
#include <string>

#include "cardiacseg/error.h"
#include "cardiacseg/labels.h"

namespace cardiacseg {
namespace {

constexpr double kTallest = 3;      // m
constexpr double kHeaviest = 1000;  // kg

template <class... Parts>
[[noreturn]] void refuse(const Parts&... parts) {
  std::ostringstream message;
  (message << ... << parts);
  throw Error(ErrorCode::invalid_input, message.str());
}

std::string text(const CineShape& shape) {
  std::ostringstream written;
  written << "[" << shape.frames << ", " << shape.slices << ", " << shape.rows << ", " << shape.columns << "]";
  return written.str();
}

void check_spacing(const Spacing& spacing) {
  const bool positive = spacing.slice > 0 && spacing.row > 0 && spacing.column > 0;
  if (!positive || !std::isnormal(spacing.slice * spacing.row * spacing.column / 1000)) {
    refuse("labels: expected a positive, finite spacing in mm (slice, row, column), got (", spacing.slice, ", ",
           spacing.row, ", ", spacing.column, ")");
  }
}

void check_shares(const LabelView& labels, std::span<const double> shares) {
  if (shares.empty()) return;
  if (shares.size() != static_cast<std::size_t>(labels.shape.slices)) {
    refuse("slice shares: expected ", labels.shape.slices, " values, one for each slice, got ", shares.size());
  }
  for (std::size_t slice = 0; slice < shares.size(); ++slice) {
    const double voxel_ml = shares[slice] * labels.spacing.row * labels.spacing.column / 1000;
    if (!(shares[slice] > 0) || !std::isnormal(voxel_ml)) {
      refuse("slice shares: expected positive, finite millimetres, got ", shares[slice], " at slice ", slice,
             " (from 0)");
    }
  }
}

void check_frame(const char* name, const std::optional<std::int64_t>& frame, std::int64_t frames) {
  if (frame && (*frame < 0 || *frame >= frames)) {
    refuse(name, ": expected a frame from 0 to ", frames - 1, ", got ", *frame);
  }
}

void check_image(const CineShape& shape, const MeasurementOptions& options, const CineView* image) {
  if (options.papillary != PapillaryMuscles::mass) return;
  if (image == nullptr || image->data == nullptr) {
    refuse("papillary muscles in the mass: expected the image of the labels, got none");
  }
  if (image->memory != Memory::host)
    refuse("papillary muscles in the mass: expected an image in host memory, got one in GPU memory");
  if (image->shape != shape) {
    refuse("papillary muscles in the mass: expected an image of the labels' shape ", text(shape), ", got ",
           text(image->shape));
  }
}

void check_times(std::span<const double> times, std::int64_t frames) {
  if (times.empty()) return;
  if (times.size() != static_cast<std::size_t>(frames)) {
    refuse("frame times: expected ", frames, " values, one for each frame, got ", times.size());
  }
  for (std::size_t frame = 0; frame < times.size(); ++frame) {
    if (!std::isfinite(times[frame]) || (frame > 0 && !(times[frame] > times[frame - 1]))) {
      refuse("frame times: expected ascending milliseconds, got ", times[frame], " at frame ", frame, " (from 0)");
    }
  }
}

/// `value` must be above 0 and up to `largest`.
void check_quantity(const char* what, const std::optional<double>& value, double largest, const char* unit) {
  if (!value || (*value > 0 && *value <= largest && std::isfinite(*value))) return;
  if (std::isfinite(largest)) refuse(what, ": expected more than 0 and up to ", largest, " ", unit, ", got ", *value);
  refuse(what, ": expected a positive, finite number of ", unit, ", got ", *value);
}

}  // namespace

void check_labels(const LabelView& labels) {
  const CineShape& shape = labels.shape;
  std::int64_t voxels = 1;
  for (const std::int64_t extent : {shape.slices, shape.rows, shape.columns, shape.frames}) {
    if (extent < 1 || extent > std::numeric_limits<std::int64_t>::max() / voxels) {
      refuse("labels: expected [frames, slices, rows, columns] of 1 or more, got ", text(shape));
    }
    voxels *= extent;
  }
  if (labels.data == nullptr) refuse("labels: expected ", voxels, " voxels, got a null pointer");
  check_spacing(labels.spacing);
}

void check_measurement(const LabelView& labels, const MeasurementOptions& options, const MeasurementInputs& inputs) {
  const CineShape& shape = labels.shape;
  check_frame("ED", options.ed_frame, shape.frames);
  check_frame("ES", options.es_frame, shape.frames);
  check_image(shape, options, inputs.image);
  const auto marks = static_cast<std::size_t>(shape.frames * shape.slices) * kStructureCount;
  if (!inputs.included.empty() && inputs.included.size() != marks) {
    refuse("included slices: expected ", marks, " marks, one for each frame, slice and structure, got ",
           inputs.included.size());
  }
  check_shares(labels, inputs.slice_shares_mm);
  check_times(inputs.frame_times_ms, shape.frames);
  check_quantity("RR interval", inputs.rr_interval_ms, std::numeric_limits<double>::infinity(), "ms");
  check_quantity("height", inputs.height_m, kTallest, "m");
  check_quantity("weight", inputs.weight_kg, kHeaviest, "kg");
  if (!std::isnormal(std::hypot(inputs.anterior[0], inputs.anterior[1]))) {
    refuse("anterior: expected a direction (along rows, along columns) that is not zero, got (", inputs.anterior[0],
           ", ", inputs.anterior[1], ")");
  }
}

}  // namespace cardiacseg
