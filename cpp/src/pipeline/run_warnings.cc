#include "pipeline/run_warnings.h"

#include <algorithm>
#include <cmath>
#include <sstream>
#include <string>

namespace cardiacseg {
namespace {

/// In-plane pixel sizes in mm at which hearts of adults and children are imaged.
constexpr double kSmallestPixel = 0.5;
constexpr double kLargestPixel = 4.0;

/// Column over row spacing from which a spacing whose first two numbers are equal is likelier (x, y, z).
constexpr double kLikelyReversed = 1.25;

/// Predicted mean Dice below which labels are likelier nonsense than inexact.
constexpr float kDoubtfulQuality = 0.5F;

template <class... Parts>
std::string text_of(const Parts&... parts) {
  std::ostringstream text;
  text.precision(3);
  (text << ... << parts);
  return text.str();
}

bool is_usual(double pixel) { return pixel >= kSmallestPixel && pixel <= kLargestPixel; }

bool looks_reversed(const Spacing& spacing) {
  return std::abs(spacing.slice - spacing.row) <= 1e-3 * spacing.row && spacing.column >= kLikelyReversed * spacing.row;
}

}  // namespace

std::vector<RunWarning> run_warnings(const CineView& cine, const Segmentation& result) {
  std::vector<RunWarning> found;
  const Spacing& spacing = cine.spacing;
  if (!is_usual(spacing.row) || !is_usual(spacing.column)) {
    found.push_back({"W_PIXEL_SIZE", text_of("pixels of ", spacing.row, " x ", spacing.column,
                                             " mm: human hearts are imaged with pixels of ", kSmallestPixel, " to ",
                                             kLargestPixel, " mm; spacing is (slice, row, column) in mm")});
  }
  if (looks_reversed(spacing)) {
    found.push_back(
        {"W_SPACING_ORDER", text_of("a spacing of (", spacing.slice, ", ", spacing.row, ", ", spacing.column,
                                    ") looks like (x, y, z); expected (slice, row, column)")});
  }
  const auto is_doubtful = [](float quality) { return quality < kDoubtfulQuality; };
  const auto doubtful = std::count_if(result.quality.begin(), result.quality.end(), is_doubtful);
  if (doubtful > 0) {
    const float lowest = *std::min_element(result.quality.begin(), result.quality.end());
    found.push_back({"W_QUALITY", text_of("the model expects a mean Dice below ", kDoubtfulQuality, " in ", doubtful,
                                          " of ", result.quality.size(), " frames, at the lowest ", lowest,
                                          ": the image may be no short-axis cine, or its spacing or axes are wrong")});
  }
  return found;
}

}  // namespace cardiacseg
