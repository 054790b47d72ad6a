#include "ops/mask_fusion.h"

#include <cstring>
#include <random>
#include <string>
#include <type_traits>

#include "check.h"
#include "device_array.h"
#include "ops/mask_fusion_common.h"
#include "ops/mask_fusion_cuda.h"
#include "reference_mask_fusion.h"

namespace cardiacseg::ops {
namespace {

using test::DeviceArray;
using test::FusionInputs;
using test::FusionResults;

constexpr std::int32_t kCountedBefore = 7;  ///< counts are added to this

/// What is wanted besides labels.
struct Wanted {
  bool probabilities = true;
  bool counts = true;
};

FusionResults empty_results(const FusionInputs& in, const Wanted& wanted) {
  const auto slices = static_cast<std::size_t>(in.slices());
  const std::size_t voxels = slices * static_cast<std::size_t>(in.voxels());
  return {std::vector<std::uint8_t>(voxels, 0xFF), std::vector<float>(wanted.probabilities ? 4 * voxels : 0, NAN),
          std::vector<std::int32_t>(wanted.counts ? 4 * slices : 0, kCountedBefore)};
}

FusionResults on_host(const FusionInputs& in, int threads = 1, const Wanted& wanted = {}) {
  FusionResults out = empty_results(in, wanted);
  mask_fusion(in.logits, in.presence, in.origins, in.rules, in.geometry, {out.labels, out.probabilities, out.counts},
              threads);
  return out;
}

template <class T>
FusionResults on_device(const FusionInputs& in, const Wanted& wanted = {}) {
  std::vector<T> values;
  for (const float logit : in.logits) values.push_back(from_float<T>(logit));
  const FusionResults empty = empty_results(in, wanted);
  const DeviceArray<T> logits(values);
  const DeviceArray<float> presence(in.presence);
  const DeviceArray<CropOrigin> origins(in.origins);
  const DeviceArray<std::uint8_t> labels(empty.labels.size());
  const DeviceArray<float> probabilities(empty.probabilities.size());
  const DeviceArray<std::int32_t> counts(empty.counts);
  mask_fusion_cuda(
      {std::is_same_v<T, Half> ? ScalarType::float16 : ScalarType::float32, logits.data(),
       in.presence.empty() ? nullptr : presence.data(), origins.data(), static_cast<std::int64_t>(in.origins.size())},
      in.rules, in.geometry,
      {labels.data(), wanted.probabilities ? probabilities.data() : nullptr, wanted.counts ? counts.data() : nullptr},
      nullptr);
  return {labels.values(), probabilities.values(), counts.values()};
}

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

std::string describe(const FusionInputs& in) {
  const FusionGeometry& g = in.geometry;
  std::string text = std::to_string(in.origins.size()) + " x " + std::to_string(g.slices) + " slices, " +
                     std::to_string(g.rows) + " x " + std::to_string(g.columns) + " of " +
                     std::to_string(g.row_spacing) + " x " + std::to_string(g.column_spacing) + " mm, crop " +
                     std::to_string(g.crop_rows) + " x " + std::to_string(g.crop_columns) + " of " +
                     std::to_string(g.target) + " mm";
  for (const CropOrigin& origin : in.origins) {
    text += " (" + std::to_string(origin.row) + ", " + std::to_string(origin.column) + ")";
    if (text.size() > 300) break;
  }
  return text;
}

void check_same(const FusionResults& found, const FusionResults& wanted, const char* who, const FusionInputs& in) {
  const auto check = [&](bool same, const char* what) {
    test::report(same, std::string(who) + ", " + what + ": " + describe(in), __FILE__, __LINE__);
  };
  check(same_bits(found.labels, wanted.labels), "labels");
  check(same_bits(found.probabilities, wanted.probabilities), "probabilities");
  check(same_bits(found.counts, wanted.counts), "counts");
}

/// The same numbers as a network gives them in float16.
FusionInputs halved(FusionInputs in) {
  for (float& logit : in.logits) logit = to_float(from_float<Half>(logit));
  return in;
}

/// Host against plain loops, device against host, bit for bit.
void check_fusion(const FusionInputs& in) {
  FusionResults wanted = test::reference_mask_fusion(in);
  for (std::int32_t& count : wanted.counts) count += kCountedBefore;
  check_same(on_host(in), wanted, "host", in);
  check_same(on_host(in, 3), wanted, "host, 3 threads", in);
  check_same(on_device<float>(in), wanted, "device, float32", in);
  check_same(on_device<Half>(in), on_host(halved(in)), "device, float16", in);
}

class Random {
 public:
  explicit Random(unsigned seed) : engine_(seed) {}

  std::int32_t whole(std::int32_t low, std::int32_t high) {
    return std::uniform_int_distribution<std::int32_t>(low, high)(engine_);
  }
  double real(double low, double high) { return std::uniform_real_distribution<double>(low, high)(engine_); }
  float normal(float size) { return std::normal_distribution<float>(0, size)(engine_); }

 private:
  std::mt19937 engine_;
};

void fill(FusionInputs& in, Random& random, float size = 3, bool gated = true) {
  in.logits.resize(static_cast<std::size_t>(in.slices() * 4 * in.pixels()));
  for (float& logit : in.logits) logit = random.normal(size);
  in.presence.resize(gated ? static_cast<std::size_t>(in.slices() * 3) : 0);
  for (float& presence : in.presence) presence = static_cast<float>(random.whole(0, 4)) / 4;  // often just 0.5
}

FusionInputs filled(const FusionGeometry& geometry, const std::vector<CropOrigin>& origins, unsigned seed = 0,
                    float size = 3, bool gated = true) {
  FusionInputs in{geometry, {0.5F}, origins, {}, {}};
  Random random(seed);
  fill(in, random, size, gated);
  return in;
}

/// Pixel sizes as they are in use, those that put centers just on edges, and any.
double spacing_of(Random& random) {
  constexpr std::array<double, 8> kUsual{1.4, 1.5, 1.0, 2.0, 0.75, 3.0, 1.25, 1.5625};
  const std::int32_t which = random.whole(0, 15);
  return which < 8 ? kUsual[static_cast<std::size_t>(which)] : random.real(0.3, 6);
}

FusionInputs anything(unsigned seed) {
  Random random(seed);
  FusionInputs in;
  in.geometry = {random.whole(1, 2),  random.whole(1, 40), random.whole(1, 90),
                 spacing_of(random),  spacing_of(random),  1.5,
                 random.whole(1, 40), random.whole(1, 60)};
  in.rules = {0.5F, random.whole(0, 1) == 0 ? 1.0F : static_cast<float>(random.real(0.1, 5))};
  for (std::int32_t stacks = random.whole(1, 3); stacks > 0; --stacks) {
    in.origins.push_back({random.whole(-12, 30), random.whole(-12, 40)});
  }
  fill(in, random, random.whole(0, 3) == 0 ? 40.0F : 3.0F, random.whole(0, 3) != 0);
  return in;
}

}  // namespace

TEST(fusion_of_anything_is_that_of_the_reference) {
  const unsigned cases = test::watched() ? 10 : 150;
  for (unsigned seed = 0; seed < cases; ++seed) check_fusion(anything(seed));
}

// From voxels so small that a tile needs few pixels to ones so large that its pixels fit in no shared memory.
TEST(fusion_at_every_ratio_of_voxel_to_pixel) {
  for (const double ratio : {0.02, 0.4, 0.9, 1.0, 1.04, 1.1, 1.3, 1.5, 1.8, 2.0, 2.2, 2.5, 4.0, 30.0}) {
    check_fusion(filled({1, 21, 70, ratio * 1.3, ratio * 1.3, 1.3, 64, 170}, {{-3, 1}}));
  }
  check_fusion(filled({1, 21, 70, 4, 0.3, 1, 90, 20}, {{0, 0}}));
  check_fusion(filled({1, 21, 70, 0.3, 4, 1, 7, 290}, {{0, 0}}));
}

TEST(each_stack_has_its_own_crop) {
  check_fusion(
      filled({2, 9, 14, 1.4, 1.9, 1.5, 5, 6}, {{0, 0}, {-4, -5}, {9, 0}, {3, 9}, {1000000, 2}, {2, -2000000}}));
}

// Only the first and the last are open, so that the simulated GPU is soon done with the others.
TEST(fusion_of_more_slices_than_a_grid_is_high) {
  if (test::watched()) return CHECK(true);
  std::vector<CropOrigin> origins(65537, CropOrigin{0, 0});
  origins.back() = {0, 1};
  FusionInputs in = filled({1, 1, 2, 1, 1, 1, 1, 2}, origins);
  std::fill(in.presence.begin() + 3, in.presence.end() - 3, 0.0F);
  std::fill_n(in.presence.end() - 3, 3, 1.0F);
  const Wanted no_counts{true, false};
  FusionResults wanted = test::reference_mask_fusion(in);
  wanted.counts.clear();
  check_same(on_host(in, 0, no_counts), wanted, "host", in);
  check_same(on_device<float>(in, no_counts), wanted, "device", in);
}

TEST(only_what_is_wanted_is_written) {
  const FusionInputs in = filled({2, 9, 14, 1.4, 1.9, 1.5, 5, 6}, {{1, 2}});
  const FusionResults all = on_host(in);
  for (const Wanted& wanted : {Wanted{false, false}, Wanted{true, false}, Wanted{false, true}}) {
    const FusionResults some{all.labels, wanted.probabilities ? all.probabilities : std::vector<float>(),
                             wanted.counts ? all.counts : std::vector<std::int32_t>()};
    check_same(on_host(in, 1, wanted), some, "host", in);
    check_same(on_device<float>(in, wanted), some, "device", in);
  }
}

TEST(a_presence_of_just_the_threshold_is_shut_everywhere) {
  FusionInputs in = filled({1, 9, 14, 1.4, 1.9, 1.5, 8, 12}, {{0, 0}}, 1, 3, false);
  in.presence = {0.5F, std::nextafter(0.5F, 1.0F), 0.5F};
  check_fusion(in);
  const FusionResults found = on_device<float>(in);
  CHECK(found.counts[1] == kCountedBefore && found.counts[3] == kCountedBefore);
  CHECK(found.counts[2] > kCountedBefore);
}

// The network's results of a slice in which nothing may be shown do not matter, even if they are not numbers.
TEST(a_shut_slice_is_background) {
  FusionInputs in = filled({2, 9, 14, 1.4, 1.9, 1.5, 8, 12}, {{0, 0}});
  in.presence = {0.1F, 0.5F, NAN, 1, 1, 1};
  std::fill_n(in.logits.begin(), 4 * in.pixels(), NAN);
  check_fusion(in);
  CHECK(on_device<float>(in).counts[0] == kCountedBefore + 9 * 14);
}

TEST(extreme_logits_are_alike_on_host_and_device) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const std::array<float, 8> values{1e4F, -1e4F, kInfinity, -kInfinity, NAN, 0.0F, -0.0F, 65504.0F};
  for (unsigned seed = 0; seed < 8; ++seed) {
    FusionInputs in = filled({1, 12, 20, 1.4, 1.1, 1.5, 11, 13}, {{0, 1}}, seed, 3, seed % 2 == 0);
    Random random(seed);
    for (float& logit : in.logits) {
      if (random.whole(0, 9) == 0) logit = values[static_cast<std::size_t>(random.whole(0, 7))];
    }
    in.rules.temperature = seed < 4 ? 1.0F : seed < 6 ? 1e-42F : 1e38F;
    check_fusion(in);
    for (const float share : on_device<float>(in).probabilities) CHECK(share >= 0 && share <= 1.000001F);
  }
}

TEST(logits_of_all_extremes_leave_background) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const float logit : {kInfinity, -kInfinity, NAN}) {
    FusionInputs in = filled({1, 3, 5, 1, 1, 1, 3, 5}, {{0, 0}}, 0, 3, false);
    std::fill(in.logits.begin(), in.logits.end(), logit);
    check_fusion(in);
    CHECK(on_device<float>(in).labels == std::vector<std::uint8_t>(15, 0));
  }
}

// Centres that lie on edges too.
TEST(neighbors_are_those_of_double_arithmetic) {
  Random random(3);
  for (int trial = 0; trial < 3000; ++trial) {
    const double ratio = spacing_of(random) / (trial % 2 == 0 ? 1.5 : spacing_of(random));
    const std::int32_t first = random.whole(-20, 60);
    const std::int32_t length = random.whole(1, 40);
    bool same = true;
    for (std::int64_t index = 0; index < 40; ++index) {
      const Neighbors found = neighbors(axis_point(index, ratio), first, length);
      const test::ReferencePoint wanted = test::reference_point(index, ratio, first, length);
      same = same && found.inside == wanted.inside;
      if (!wanted.inside) continue;
      same = same && found.lower == wanted.lower && found.upper == wanted.upper && found.upper_share == wanted.share;
    }
    CHECK(same);
  }
}

TEST(numbers_that_a_kernel_cannot_take_are_refused) {
  const FusionInputs in = filled({1, 1, 1, 1, 1, 1, 1, 1}, {{0, 0}});
  const auto fuse = [&](const DeviceFusionInputs& inputs, const FusionRules& rules, const FusionGeometry& geometry) {
    mask_fusion_cuda(inputs, rules, geometry, {nullptr}, nullptr);
  };
  const DeviceFusionInputs good{ScalarType::float32, nullptr, nullptr, nullptr, 1};
  CHECK_THROWS(fuse({ScalarType::bfloat16, nullptr, nullptr, nullptr, 1}, {0.5F}, in.geometry), std::invalid_argument,
               "expected float32 or float16");
  CHECK_THROWS(fuse(good, {0.5F, 0.0F}, in.geometry), std::invalid_argument, "temperature of mask_fusion");
  CHECK_THROWS(fuse({ScalarType::float32, nullptr, nullptr, nullptr, 0}, {0.5F}, in.geometry), std::invalid_argument,
               "stacks of mask_fusion: expected extents of 1");
  CHECK_THROWS(fuse(good, {0.5F}, {1, 1 << 20, 1, 1, 1, 1, 1, 1}), std::invalid_argument, "65535 tiles");
  CHECK_THROWS(fuse(good, {0.5F}, {1, 1, 1, 0, 1, 1, 1, 1}), std::invalid_argument, "pixel sizes");
}

}  // namespace cardiacseg::ops
