#include "ops/preprocess.h"

#include <array>
#include <limits>
#include <random>
#include <string>

#include "check.h"
#include "device_array.h"
#include "images.h"
#include "ops/preprocess_common.h"
#include "ops/preprocess_cuda.h"
#include "ops/require.h"
#include "ops/scalar.h"
#include "reference_preprocess.h"

namespace cardiacseg::ops {
namespace {

using test::DeviceArray;
using test::Extents;
using test::Image;
using test::image_of;
using test::kPixelTypes;

/// One call.
struct Case {
  Image image;
  double row_spacing = 1;
  double column_spacing = 1;
  double target = 1;
  std::int64_t crop_rows = 1;
  std::int64_t crop_columns = 1;
  std::vector<IntensityRange> ranges;
  std::vector<CropOrigin> origins;

  ResampleTaps rows() const { return resample_taps(image.view.rows, row_spacing, target); }
  ResampleTaps columns() const { return resample_taps(image.view.columns, column_spacing, target); }
  std::size_t size() const {
    return element_count("output", {image.view.stacks, image.view.slices, crop_rows, crop_columns});
  }
};

std::vector<float> on_host(const Case& one, int threads = 1) {
  std::vector<float> output(one.size(), std::numeric_limits<float>::quiet_NaN());
  preprocess(one.image.on_host(), {one.rows(), one.columns(), one.crop_rows, one.crop_columns}, one.ranges, one.origins,
             threads, output);
  return output;
}

/// Taps in device memory.
struct Uploaded {
  explicit Uploaded(const ResampleTaps& taps)
      : inputs(taps.inputs), outputs(taps.outputs), first(taps.first), count(taps.count), weights(taps.weights) {}

  DeviceTaps taps() const { return {inputs, outputs, first.data(), count.data(), weights.data()}; }

  std::int64_t inputs;
  std::int64_t outputs;
  DeviceArray<std::int32_t> first;
  DeviceArray<std::int32_t> count;
  DeviceArray<float> weights;
};

template <class Output>
std::vector<Output> on_device(const Case& one) {
  const DeviceArray<unsigned char> bytes(one.image.bytes);
  const Uploaded rows(one.rows());
  const Uploaded columns(one.columns());
  const DeviceArray<IntensityRange> ranges(one.ranges);
  const DeviceArray<CropOrigin> origins(one.origins);
  const DeviceArray<Output> output(one.size());
  preprocess_cuda(one.image.at(bytes.data()), {rows.taps(), columns.taps(), one.crop_rows, one.crop_columns},
                  ranges.data(), origins.data(),
                  std::is_same_v<Output, float> ? ScalarType::float32 : ScalarType::float16, output.data(), nullptr);
  return output.values();
}

/// The crops before normalization, by the plain loops.
std::vector<float> reference(const Case& one) {
  const Pixels pixels = one.image.on_host();
  const std::vector<float> values = test::values_of(pixels);
  const auto size = pixels.rows * pixels.columns;
  std::vector<float> output;
  for (std::int64_t plane = 0; plane < pixels.stacks * pixels.slices; ++plane) {
    const test::Plane whole{
        pixels.rows, pixels.columns, {values.begin() + plane * size, values.begin() + (plane + 1) * size}};
    const auto stack = static_cast<std::size_t>(plane / pixels.slices);
    const test::Plane crop =
        test::reference_crop(test::reference_resampled(whole, one.row_spacing, one.column_spacing, one.target),
                             one.origins[stack], one.crop_rows, one.crop_columns);
    output.insert(output.end(), crop.values.begin(), crop.values.end());
  }
  return output;
}

bool inside(const Case& one, std::size_t index) {
  const auto at = static_cast<std::int64_t>(index);
  const auto stack = at / one.crop_columns / one.crop_rows / one.image.view.slices;
  const CropOrigin& origin = one.origins[static_cast<std::size_t>(stack)];
  const std::int64_t row = at / one.crop_columns % one.crop_rows + origin.row;
  const std::int64_t column = at % one.crop_columns + origin.column;
  return row >= 0 && row < one.rows().outputs && column >= 0 && column < one.columns().outputs;
}

/// The plain crops, normalized by the same few operations: what must come to the last bit. The tests of normalize_rule
/// hold those against double.
std::vector<float> expected(const Case& one) {
  std::vector<float> values = reference(one);
  const std::size_t stack = values.size() / one.ranges.size();
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = inside(one, i) ? normalized(values[i], normalize_rule(one.ranges[i / stack])) : 0.0F;
  }
  return values;
}

void check_case(const Case& one) {
  const std::vector<float> wanted = expected(one);
  CHECK(on_host(one, 1) == wanted);
  CHECK(on_host(one, 3) == wanted);
  CHECK(on_device<float>(one) == wanted);
  const std::vector<Half> halves = on_device<Half>(one);
  bool rounded = halves.size() == wanted.size();
  for (std::size_t i = 0; i < halves.size(); ++i)
    rounded = rounded && halves[i].bits == from_float<Half>(wanted[i]).bits;
  CHECK(rounded);
}

/// `[planes, rows, columns]` of float32, cropped to all of the resampled grid, intensities in units of 100.
Case whole(const std::vector<float>& values, const Extents& extents, double row_spacing, double column_spacing,
           double target) {
  std::size_t index = 0;
  return {image_of(PixelType::float32, extents, [&] { return values[index++]; }),
          row_spacing,
          column_spacing,
          target,
          resampled_length(extents[2], row_spacing, target),
          resampled_length(extents[3], column_spacing, target),
          {{0, 100}},
          {{0, 0}}};
}

void check_values(const Case& one, const std::vector<double>& wanted) {
  for (const std::vector<float>& found : {on_host(one), on_device<float>(one)}) {
    CHECK(found.size() == wanted.size());
    for (std::size_t i = 0; i < wanted.size() && i < found.size(); ++i) CHECK_NEAR(100 * found[i], wanted[i], 1e-5);
  }
}

}  // namespace

TEST(same_spacing_keeps_every_value) {
  check_values(whole({1, 2, 3, 4, 5, 99}, {1, 1, 2, 3}, 1.5, 1.5, 1.5), {1, 2, 3, 4, 5, 99});
  check_values(whole({7}, {1, 1, 1, 1}, 1.5, 1.5, 1.5), {7});
}

// Twice as many pixels: centers at -0.25, 0.25, 0.75, 1.25 of pixels 0 and 1; the edge pixels alone make the outer two.
TEST(doubling_interpolates_linearly) { check_values(whole({0, 4}, {1, 1, 1, 2}, 1, 2, 1), {0, 1, 3, 4}); }

// Half as many: a triangle of half width 2 round 1.0, 3.0, 5.0 (pixel centers at 0.5, 1.5, ...): weights 1/4, 3/4, 3/4,
// 1/4 over their sum; 3/4, 3/4, 1/4 over 7/4 at the edges. Values 0, 8, 16, 24, 32, 40:
// (0 * 3 + 8 * 3 + 16) / 7 = 40 / 7; (8 + 3 * 16 + 3 * 24 + 32) / 8 = 20; (24 + 3 * 32 + 3 * 40) / 7 = 240 / 7.
TEST(halving_widens_the_triangle) {
  check_values(whole({0, 8, 16, 24, 32, 40}, {1, 1, 1, 6}, 2, 1, 2), {40.0 / 7, 20, 240.0 / 7});
}

// 5 pixels of 1 mm are 2 (2.5, to even) of 2 mm: centers 1 and 3 of 0..5. Values 7, 7, 7, 7, 14:
// (2.5, 3.5 weigh 3/4; 1.5, 4.5 weigh 1/4): (7 + 21 + 21 + 14) / 8 = 7.875.
TEST(odd_length_drops_the_last_half_pixel) { check_values(whole({7, 7, 7, 7, 14}, {1, 1, 5, 1}, 1, 2, 2), {7, 7.875}); }

// Rows double (spacing 2 -> 1), columns halve (0.5 -> 1). Columns first by hand: 4 pixels a, b, c, d become
// (3a + 3b + c) / 7 and (b + 3c + 3d) / 7. Row 0: 0 0 7 0 -> 1, 3; row 1: 7 0 0 14 -> 3, 6.
// Rows then mix as 1, 3/4 : 1/4, 1/4 : 3/4, 1.
TEST(axes_have_their_own_spacing) {
  check_values(whole({0, 0, 7, 0, 7, 0, 0, 14}, {1, 1, 2, 4}, 2, 0.5, 1), {1, 3, 1.5, 3.75, 2.5, 5.25, 3, 6});
}

TEST(planes_are_independent) {
  check_values(whole({0, 4, 10, 10}, {1, 2, 1, 2}, 1, 2, 1), {0, 1, 3, 4, 10, 10, 10, 10});
}

TEST(constant_stays_constant_at_any_ratio) {
  for (const double spacing : {0.3, 0.7, 1.37, 1.5, 4.0}) {
    const Case one = whole(std::vector<float>(7 * 5, 3.0F), {1, 1, 7, 5}, spacing, 1.1 * spacing, 1.5);
    check_values(one, std::vector<double>(one.size(), 3));
  }
}

// Half width 10, center 5: weights 1 - 4.5 / 10 and 1 - 3.5 / 10, so (0 * 0.55 + 12 * 0.65) / 1.2 = 6.5.
TEST(one_pixel_for_a_small_image_is_its_weighted_mean) { check_values(whole({0, 12}, {1, 1, 1, 2}, 10, 1, 10), {6.5}); }

TEST(infinity_does_not_spread_where_its_weight_is_zero) {
  const float infinity = std::numeric_limits<float>::infinity();
  check_values(whole({1, infinity, 3}, {1, 1, 1, 3}, 1, 1, 1), {1, 100, 3});
}

TEST(intensities_are_mapped_and_clipped) {
  Case one = whole({10, 12, 15, 20, 9, 1e30F, -1e30F}, {1, 1, 1, 7}, 1, 1, 1);
  one.ranges = {{10, 20}};
  check_values(one, {0, 20, 50, 100, 0, 100, 0});
  one.ranges = {{5, 5}};
  check_values(one, {0, 0, 0, 0, 0, 0, 0});
}

TEST(the_widest_and_the_narrowest_range_are_borne) {
  const float largest = std::numeric_limits<float>::max();
  const float smallest = std::numeric_limits<float>::denorm_min();
  Case one = whole({-largest, 0, largest}, {1, 1, 1, 3}, 1, 1, 1);
  one.ranges = {{-largest, largest}};
  check_values(one, {0, 50, 100});
  one = whole({0, smallest}, {1, 1, 1, 2}, 1, 1, 1);
  one.ranges = {{0, smallest}};
  check_values(one, {0, 100});
}

// Four roundings of half a unit in the last place each: the share is right to 2^-22 of itself if the value is not
// rounded, that is where the difference from the range's end does not cancel digits that were lost before.
TEST(normalization_in_float_is_that_in_double) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  for (int round = 0; round < 20000; ++round) {
    const float size = std::ldexp(1.0F, static_cast<int>(random() % 250) - 125);
    const float a = size * normal(random);
    const float b = a + (round % 2 == 0 ? size : size / 64) * normal(random);
    const IntensityRange range{std::min(a, b), std::max(a, b)};
    const float value = a + (b - a) * 1.5F * normal(random);
    const double wanted = test::reference_normalized(value, range);
    CHECK_NEAR(normalized(value, normalize_rule(range)), wanted, 2.5e-7 * wanted + 1e-30);
  }
}

TEST(crops_lie_anywhere) {
  // 2 planes of 2 rows and 3 columns.
  Case one = whole({1, 2, 3, 4, 5, 6, 10, 20, 30, 40, 50, 60}, {1, 2, 2, 3}, 1, 1, 1);
  const auto check_crop = [&](const CropOrigin& origin, std::int64_t rows, std::int64_t columns,
                              const std::vector<double>& wanted) {
    one.origins = {origin};
    one.crop_rows = rows;
    one.crop_columns = columns;
    check_values(one, wanted);
  };
  check_crop({1, 1}, 1, 2, {5, 6, 50, 60});
  check_crop({-1, -2}, 2, 3, {0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 10});
  check_crop({1, 2}, 2, 2, {6, 0, 0, 0, 60, 0, 0, 0});
  check_crop({-1, -1}, 4, 5, {0, 0, 0, 0, 0, 0, 1,  2,  3,  0, 0, 4,  5,  6,  0, 0, 0, 0, 0, 0,
                              0, 0, 0, 0, 0, 0, 10, 20, 30, 0, 0, 40, 50, 60, 0, 0, 0, 0, 0, 0});
  constexpr std::int32_t lowest = std::numeric_limits<std::int32_t>::min();
  constexpr std::int32_t highest = std::numeric_limits<std::int32_t>::max();
  for (const std::int32_t away : {lowest, -2, 3, highest}) {
    check_crop({away, 0}, 2, 2, std::vector<double>(8, 0));
    check_crop({0, away}, 2, 2, std::vector<double>(8, 0));
  }
}

TEST(every_type_layout_ratio_and_crop_is_the_reference) {
  std::mt19937 random(4);
  const auto below = [&random](unsigned count) { return static_cast<std::int64_t>(random() % count); };
  for (int round = 0; round < 10; ++round) {
    for (const PixelType type : kPixelTypes) {
      const Extents extents{1 + below(3), 1 + below(2), 1 + below(12), 1 + below(40)};
      const auto spacing = [&] { return std::pow(10.0, static_cast<double>(below(2001)) / 2000.0 - 0.5); };
      Case one{image_of(type, extents, test::RandomValues(type, static_cast<unsigned>(round), random),
                        test::random_layout(type, random)),
               spacing(),
               spacing(),
               spacing(),
               1 + below(20),
               1 + below(40),
               {},
               {}};
      for (std::int64_t stack = 0; stack < extents[0]; ++stack) {
        const auto low = static_cast<float>(below(200)) - 50;
        one.ranges.push_back({low, low + static_cast<float>(below(3) * below(300))});
        one.origins.push_back({static_cast<std::int32_t>(below(24)) - 12, static_cast<std::int32_t>(below(40)) - 20});
      }
      check_case(one);
    }
  }
}

// 16 rows of a crop that shrinks 12 times need 204 rows of the image, which do not fit.
TEST(strong_shrinking_is_the_reference) {
  std::mt19937 random(5);
  for (const double target : {7.0, 7.3, 12.0}) {
    check_case({image_of(PixelType::int16, {1, 1, 260, 70}, test::RandomValues(PixelType::int16, 1, random)),
                1,
                0.9,
                target,
                20,
                9,
                {{-50, 1500}},
                {{-1, -1}}});
  }
}

TEST(crops_of_several_tiles_are_the_reference) {
  std::mt19937 random(6);
  check_case({image_of(PixelType::uint16, {2, 2, 40, 70}, test::RandomValues(PixelType::uint16, 1, random)),
              1.4,
              1.2,
              1.5,
              35,
              66,
              {{3, 1500}, {100, 800}},
              {{-3, 5}, {9, -20}}});
}

TEST(more_planes_than_a_grid_is_high) {
  if (test::watched()) return CHECK(true);
  unsigned value = 0;
  Case one{image_of(PixelType::uint8, {65539, 1, 1, 1}, [&value] { return value++ % 251; }), 1, 1, 1, 1, 1, {}, {}};
  one.ranges.assign(65539, {0, 250});
  one.origins.assign(65539, {0, 0});
  CHECK(on_device<float>(one) == on_host(one));
}

TEST(a_range_of_nan_shows) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  Case one = whole({1, 2}, {1, 1, 1, 2}, 1, 1, 1);
  one.crop_columns = 3;
  one.ranges = {{nan, nan}};
  const std::vector<float> found = on_device<float>(one);
  CHECK(std::isnan(found[0]) && std::isnan(found[1]) && found[2] == 0);
  CHECK_THROWS(on_host(one), std::invalid_argument, "finite low <= high");
  one.ranges = {{2, 1}};
  CHECK_THROWS(on_host(one), std::invalid_argument, "got 2");
}

TEST(what_does_not_fit_is_refused) {
  Case one = whole({1, 2}, {1, 1, 1, 2}, 1, 1, 1);
  std::vector<float> output(2);
  const ResampleTaps taps = resample_taps(2, 1, 1);
  const ResampleTaps row = resample_taps(1, 1, 1);
  const auto call = [&](const PreprocessRules& rules) {
    preprocess(one.image.on_host(), rules, one.ranges, one.origins, 1, output);
  };
  CHECK_THROWS(call({taps, taps, 1, 2}), std::invalid_argument,
               "expected taps for 1 rows and 2 columns, got them for 2");
  CHECK_THROWS(call({row, taps, 1, 3}), std::invalid_argument, "output of preprocess: expected 3 values, got 2");
  CHECK_THROWS(call({row, taps, -1, -2}), std::invalid_argument, "1 or more");
  const DeviceTaps few{1, 1, nullptr, nullptr, nullptr};
  const DeviceTaps two{2, 2, nullptr, nullptr, nullptr};
  const auto device_call = [&](const DevicePreprocessRules& rules, ScalarType type) {
    preprocess_cuda(one.image.on_host(), rules, nullptr, nullptr, type, nullptr, nullptr);
  };
  CHECK_THROWS(device_call({two, two, 1, 2}, ScalarType::float32), std::invalid_argument, "expected taps for 1 rows");
  CHECK_THROWS(device_call({few, two, 0, 2}, ScalarType::float32), std::invalid_argument, "got 0");
  CHECK_THROWS(device_call({few, two, 1, 2}, ScalarType::bfloat16), std::invalid_argument, "bfloat16");
  CHECK_THROWS(device_call({few, two, 1LL << 30, 1LL << 30}, ScalarType::float32), std::invalid_argument, "too many");
  one.ranges.clear();
  CHECK_THROWS(call({row, taps, 1, 2}), std::invalid_argument, "ranges of preprocess");
}

}  // namespace cardiacseg::ops
