#include "ops/percentile_range.h"

#include <limits>
#include <random>
#include <string>

#include "check.h"
#include "device_array.h"
#include "images.h"
#include "ops/percentile_range_cuda.h"
#include "reference_percentile_range.h"

namespace cardiacseg::ops {
namespace {

using test::DeviceArray;
using test::Extents;
using test::Image;
using test::image_of;
using test::kPixelTypes;
using test::Layout;

using Ranges = std::vector<IntensityRange>;

Ranges on_host(const Image& image, double lower, double upper, int threads = 1) {
  Ranges ranges(static_cast<std::size_t>(image.view.stacks), {-7, -7});
  percentile_range(image.on_host(), lower, upper, threads, ranges);
  return ranges;
}

/// A workspace for a device, which every call must leave as it was.
class Workspace {
 public:
  explicit Workspace(const Pixels& pixels)
      : memory_(std::vector<unsigned char>(
            percentile_range_workspace(pixels.type, pixels.stacks, pixels.slices * pixels.rows * pixels.columns))) {}

  void* data() const { return memory_.data(); }
  bool is_zero() const {
    const std::vector<unsigned char> bytes = memory_.values();
    return std::all_of(bytes.begin(), bytes.end(), [](unsigned char byte) { return byte == 0; });
  }

 private:
  DeviceArray<unsigned char> memory_;
};

Ranges on_device(const Image& image, double lower, double upper, int calls = 2) {
  const DeviceArray<unsigned char> bytes(image.bytes);
  const DeviceArray<IntensityRange> ranges(static_cast<std::size_t>(image.view.stacks));
  const Workspace workspace(image.view);
  for (int call = 0; call < calls; ++call) {
    percentile_range_cuda(image.at(bytes.data()), lower, upper, workspace.data(), ranges.data(), nullptr);
  }
  CHECK(workspace.is_zero());
  return ranges.values();
}

bool same(const Ranges& a, const Ranges& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const IntensityRange& one, const IntensityRange& other) {
    return one.low == other.low && one.high == other.high;
  });
}

/// Host, with one thread and more, and device against sorting.
void check_image(const Image& image, double lower, double upper) {
  const std::vector<float> values = test::values_of(image.on_host());
  const std::size_t voxels = values.size() / static_cast<std::size_t>(image.view.stacks);
  Ranges wanted;
  for (std::size_t at = 0; at < values.size(); at += voxels) {
    wanted.push_back(test::reference_percentile_range(std::span(values).subspan(at, voxels), lower, upper));
  }
  CHECK(same(on_host(image, lower, upper, 1), wanted));
  CHECK(same(on_host(image, lower, upper, 3), wanted));
  CHECK(same(on_device(image, lower, upper), wanted));
}

/// One row of float32.
Image row_of(const std::vector<float>& values) {
  std::size_t index = 0;
  return image_of(PixelType::float32, {1, 1, 1, static_cast<std::int64_t>(values.size())},
                  [&] { return values[index++]; });
}

void check_range(const std::vector<float>& values, double lower, double upper, const IntensityRange& wanted) {
  for (const Ranges& found : {on_host(row_of(values), lower, upper), on_device(row_of(values), lower, upper)}) {
    CHECK_NEAR(found[0].low, wanted.low, 1e-6);
    CHECK_NEAR(found[0].high, wanted.high, 1e-6);
  }
}

}  // namespace

// Sorted 1, 2, 4, 8, 16; position of percentile p is p / 100 * 4.
TEST(percentiles_interpolate_between_ranks) {
  const std::vector<float> values{8, 1, 16, 4, 2};
  check_range(values, 0, 100, {1, 16});
  check_range(values, 25, 50, {2, 4});
  check_range(values, 10, 90, {1.4F, 12.8F});  // positions 0.4 and 3.6
  check_range(values, 30, 35, {2.4F, 2.8F});   // both between ranks 1 and 2
}

TEST(even_count_and_negative_values) { check_range({-4, 4, 0, 12}, 50, 75, {2, 6}); }  // positions 1.5 and 2.25

TEST(ranks_agree_with_sorting_a_large_array) {
  for (const PixelType type : {PixelType::uint16, PixelType::float32}) {
    std::uint32_t state = 1;
    check_image(image_of(type, {1, 1, 1, 20011},
                         [&state] {
                           state = state * 1664525U + 1013904223U;
                           return state >> 20U;
                         }),
                1, 99);
  }
}

TEST(equal_percentiles_fall_back_to_the_extremes) {
  check_range({5, 5, 5, 5, 5, 5, 5, 5, 5, 1, 9}, 20, 80, {1, 9});
  check_range({5, 5, 5}, 1, 99, {5, 5});
  check_range({3}, 1, 99, {3, 3});
  check_range({1, 2, 3}, 50, 50, {1, 3});
  check_range({-0.0F, 0.0F, -0.0F}, 0, 100, {0, 0});
}

TEST(every_type_and_layout_is_sorting) {
  std::mt19937 random(1);
  for (int round = 0; round < 12; ++round) {
    for (const PixelType type : kPixelTypes) {
      Extents extents;
      for (std::int64_t& extent : extents) extent = 1 + static_cast<std::int64_t>(random() % 6);
      const Layout layout = test::random_layout(type, random);
      const double lower = static_cast<double>(random() % 60);
      const double upper = lower + static_cast<double>(random() % 41);
      check_image(image_of(type, extents, test::RandomValues(type, static_cast<unsigned>(round), random), layout),
                  lower, upper);
    }
  }
}

TEST(contiguous_rows_are_read_in_vectors_to_their_end) {
  std::mt19937 random(2);
  for (const PixelType type : kPixelTypes) {
    for (const std::int64_t columns : {15, 16, 17, 33}) {
      Layout padded;  // each row starts at a multiple of 16 bytes
      padded.gap[1] = (16 - columns * static_cast<std::int64_t>(size_of(type)) % 16) % 16;
      check_image(image_of(type, {2, 1, 5, columns}, test::RandomValues(type, 1, random), padded), 3, 97);
      check_image(image_of(type, {2, 1, 5, columns}, test::RandomValues(type, 1, random)), 3, 97);
    }
  }
}

TEST(several_ctas_share_a_stack) {
  std::mt19937 random(3);
  for (const PixelType type : {PixelType::uint8, PixelType::int16, PixelType::float32}) {
    check_image(image_of(type, {2, 3, 60, 101}, test::RandomValues(type, 1, random)), 1, 99);
    check_image(image_of(type, {1, 3, 101, 60}, test::RandomValues(type, 2, random), {.order = {2, 3, 1, 0}}), 1, 99);
  }
}

// The simulated GPU has four multiprocessors: 13 stacks of three CTAs each are more than it runs at the same time.
TEST(a_cta_counts_more_where_there_are_many_stacks) {
  std::mt19937 random(4);
  for (const PixelType type : {PixelType::int16, PixelType::float32}) {
    check_image(image_of(type, {13, 1, 200, 101}, test::RandomValues(type, 1, random)), 1, 99);
  }
}

TEST(the_whole_range_of_16_bits_counts) {
  for (const PixelType type : {PixelType::uint16, PixelType::int16}) {
    int value = type == PixelType::int16 ? -32768 : 0;
    value -= 977;
    check_image(image_of(type, {1, 1, 67, 1}, [&value] { return value += 977; }), 0.5, 99.5);
  }
}

TEST(one_voxel_constant_images_and_extreme_values) {
  const float largest = std::numeric_limits<float>::max();
  const float smallest = std::numeric_limits<float>::denorm_min();
  for (const PixelType type : kPixelTypes) {
    check_image(image_of(type, {1, 1, 1, 1}, [] { return 7; }), 1, 99);
    check_image(image_of(type, {2, 1, 40, 1}, [] { return 100; }), 1, 99);
  }
  check_range({-largest, 0, largest}, 0, 100, {-largest, largest});
  check_range({-smallest, 0, smallest}, 0, 100, {-smallest, smallest});
}

TEST(values_that_agree_in_the_upper_half_of_their_key) {
  for (const PixelType type : {PixelType::float32, PixelType::uint32, PixelType::float64}) {
    std::uint32_t step = 0;
    check_image(image_of(type, {1, 2, 20, 30}, [&step] { return 4000000.0 + (step += 7919) % 500; }), 1, 99);
  }
}

TEST(what_is_not_finite_is_refused_or_shown) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float odd : {nan, -nan, infinity, -infinity}) {
    CHECK_THROWS(on_host(row_of({1, odd, 2}), 1, 99), std::invalid_argument, "finite");
    const Ranges found = on_device(row_of({1, odd, 2}), 1, 99);
    CHECK(std::isnan(found[0].low) && std::isnan(found[0].high));
  }
  CHECK_THROWS(on_host(image_of(PixelType::float64, {1, 1, 1, 2}, [] { return 1e300; }), 1, 99), std::invalid_argument,
               "finite");
}

TEST(only_the_stack_that_is_not_finite_suffers) {
  std::size_t index = 0;
  const std::vector<float> values{1, 2, 3, std::numeric_limits<float>::infinity(), 5, 6};
  const Ranges found = on_device(image_of(PixelType::float32, {3, 1, 1, 2}, [&] { return values[index++]; }), 0, 100);
  CHECK(found[0].low == 1 && found[0].high == 2);
  CHECK(std::isnan(found[1].low) && std::isnan(found[1].high));
  CHECK(found[2].low == 5 && found[2].high == 6);
}

// Of small stacks 1024 share their workspaces, and as many CTAs take them in turn.
TEST(more_small_stacks_than_there_are_workspaces) {
#ifdef CARDIACSEG_SIMULATED_GPU
  constexpr std::int64_t stacks = 2051;
#else
  constexpr std::int64_t stacks = 65539;
#endif
  unsigned value = 0;
  const Image image = image_of(PixelType::uint8, {stacks, 1, 1, 2}, [&value] { return value++ % 251; });
  const Ranges found = on_device(image, 0, 100);
  CHECK(same(found, on_host(image, 0, 100)));
  CHECK(found[stacks - 1].low == (2 * stacks - 2) % 251 && found[stacks - 1].high == (2 * stacks - 1) % 251);
}

TEST(what_cannot_be_is_refused) {
  const Image two = row_of({1, 2});
  Ranges one(1);
  Ranges many(2);
  const auto both = [&](double lower, double upper, const std::string& text) {
    CHECK_THROWS(percentile_range(two.on_host(), lower, upper, 1, one), std::invalid_argument, text);
    CHECK_THROWS(percentile_range_cuda(two.on_host(), lower, upper, nullptr, one.data(), nullptr),
                 std::invalid_argument, text);
  };
  both(99, 1, "99");
  both(-1, 50, "0 <= lower");
  both(1, 100.5, "100.5");
  both(std::numeric_limits<double>::quiet_NaN(), 50, "nan");
  CHECK_THROWS(percentile_range(two.on_host(), 1, 99, 1, many), std::invalid_argument, "expected 1 values, got 2");
  Pixels none = two.on_host();
  none.columns = 0;
  CHECK_THROWS(percentile_range(none, 1, 99, 1, one), std::invalid_argument, "got 0");
  CHECK_THROWS(percentile_range_cuda(none, 1, 99, nullptr, one.data(), nullptr), std::invalid_argument, "got 0");
  none.columns = 1LL << 32;
  CHECK_THROWS(percentile_range(none, 1, 99, 1, one), std::invalid_argument, "at most 2^32 - 1, got 4294967296");
  CHECK_THROWS(percentile_range_workspace(PixelType::uint8, 0, 5), std::invalid_argument, "got 0");
}

}  // namespace cardiacseg::ops
