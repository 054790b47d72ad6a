#include <cmath>
#include <string>

#include "check.h"
#include "pipeline/input_checks.h"

namespace cardiacseg {
namespace {

constexpr CineShape kUsual{20, 10, 208, 224};
constexpr Spacing kSquare{8, 1.4, 1.4};

CineView view(const CineShape& shape, const Spacing& spacing) {
  static constexpr char something = 0;
  return CineView::contiguous(&something, PixelType::uint8, shape, spacing);
}

void refused(const CineShape& shape, const Spacing& spacing, const std::string& words) {
  CHECK_THROWS_CODE(check_geometry(view(shape, spacing)), ErrorCode::invalid_input, words);
}

std::string codes(const Spacing& spacing, const std::vector<float>& quality = {0.9F}) {
  Segmentation result;
  result.quality = quality;
  std::string all;
  for (const RunWarning& warning : run_warnings(view(kUsual, spacing), result)) all += warning.code + " ";
  return all;
}

}  // namespace

TEST(usual_and_unusual_hearts_are_taken) {
  for (const Spacing& spacing : {kSquare, Spacing{10, 2.4, 2.4}, Spacing{1, 0.2, 0.2}, Spacing{4, 0.9, 0.9},
                                 Spacing{1.5, 1.5, 1.5}, Spacing{8, 1.4, 2.8}, Spacing{8, 2.8, 1.4}}) {
    check_geometry(view(kUsual, spacing));
    CHECK(true);
  }
  check_geometry(view({1, 200, 64, 64}, {1.5, 1.5, 1.5}));
  check_geometry(view({1, 12, 16, 20}, {8, 1.5, 1.5}));
}

TEST(pixels_far_from_square_are_refused) {
  refused(kUsual, {2.4, 2.4, 10}, "expected a spacing of (slice, row, column), got (2.4, 2.4, 10), which looks like");
  refused(kUsual, {2.4, 10, 2.4}, "within a factor of 2, got 10 and 2.4 mm");
  refused(kUsual, {8, 1.4, 2.81}, "within a factor of 2");
  refused(kUsual, {0.2, 0.2, 1}, "(x, y, z)");
}

TEST(lengths_that_no_pixel_has_are_refused) {
  refused(kUsual, {8, 10, 10}, "the row spacing must be 0.1 to 8 mm, got 10");
  refused(kUsual, {0.008, 0.0014, 0.0014}, "the slice spacing must be 0.1 to 100 mm, got 0.008");
  refused(kUsual, {8, 1.4, NAN}, "the column spacing");
  refused(kUsual, {8, 0, 1.4}, "the row spacing must be 0.1 to 8 mm, got 0");
}

TEST(axes_in_the_order_of_a_nifti_reader_are_refused) {
  refused({224, 208, 10, 20}, kSquare, "got [224, 208, 10, 20], which looks like [x, y, z, t]: reverse the order");
  refused({224, 208, 20, 30}, kSquare, "[x, y, z, t]");
  refused({1, 224, 208, 10}, kSquare, "expected the axes [slices, rows, columns], got [224, 208, 10]");
}

TEST(what_makes_labels_doubtful_is_warned_of) {
  CHECK(codes(kSquare).empty());
  CHECK(codes({4, 0.9, 0.9}).empty());
  CHECK(codes({1.5, 1.5, 1.5}).empty());
  CHECK(codes({1, 0.2, 0.2}) == "W_PIXEL_SIZE ");
  CHECK(codes({8, 5, 5}) == "W_PIXEL_SIZE ");
  CHECK(codes({1.5, 1.5, 2.5}) == "W_SPACING_ORDER ");
  CHECK(codes(kSquare, {0.9F, 0.1F}) == "W_QUALITY ");
  CHECK(codes(kSquare, {NAN, NAN}).empty());
}

}  // namespace cardiacseg
