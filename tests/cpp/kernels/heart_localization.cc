#include "ops/heart_localization.h"

#include <limits>
#include <random>
#include <string>

#include "check.h"
#include "device_array.h"
#include "ops/heart_localization_cuda.h"
#include "reference_heart_localization.h"

namespace cardiacseg::ops {
namespace {

using test::DeviceArray;

using Origins = std::vector<CropOrigin>;

struct Inputs {
  HeartMaps maps;
  HeartLocalizationRules rules;
  std::vector<float> heart;
};

Origins on_host(const Inputs& in) {
  Origins origins(static_cast<std::size_t>(in.maps.stacks));
  heart_localization(in.heart, in.maps, in.rules, origins);
  return origins;
}

Origins on_device(const Inputs& in) {
  const DeviceArray<float> heart(in.heart);
  const DeviceArray<CropOrigin> origins(static_cast<std::size_t>(in.maps.stacks));
  const DeviceArray<unsigned char> workspace(
      heart_localization_workspace(in.maps.stacks, in.maps.rows, in.maps.columns));
  for (int call = 0; call < 2; ++call) {
    heart_localization_cuda(heart.data(), in.maps, in.rules, workspace.data(), origins.data(), nullptr);
  }
  return origins.values();
}

Origins by_reference(const Inputs& in) {
  Origins origins;
  for (std::int64_t stack = 0; stack < in.maps.stacks; ++stack) {
    const float* from = in.heart.data() + stack * in.maps.slices * in.maps.padded_plane();
    origins.push_back(test::reference_heart_localization(from, in.maps, in.rules));
  }
  return origins;
}

bool same(const Origins& a, const Origins& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const CropOrigin& one, const CropOrigin& other) {
    return one.row == other.row && one.column == other.column;
  });
}

void check_centres(const Inputs& in) {
  const Origins wanted = by_reference(in);
  const std::string what = std::to_string(in.maps.stacks) + " x " + std::to_string(in.maps.slices) + " x " +
                           std::to_string(in.maps.rows) + " x " + std::to_string(in.maps.columns) + ", window " +
                           std::to_string(in.rules.window);
  test::report(same(on_host(in), wanted), "host: " + what, __FILE__, __LINE__);
  test::report(same(on_device(in), wanted), "device: " + what, __FILE__, __LINE__);
}

/// Any number, few numbers (so that boxes tie), or what is no probability at all.
float value_of(unsigned kind, std::mt19937& random) {
  constexpr float kOdd[] = {std::numeric_limits<float>::quiet_NaN(),
                            std::numeric_limits<float>::infinity(),
                            -std::numeric_limits<float>::infinity(),
                            -0.0F,
                            -3,
                            2,
                            1e-30F,
                            0.5F};
  if (kind == 0) return std::uniform_real_distribution<float>(0, 1)(random);
  if (kind == 1) return random() % 7 == 0 ? 0.5F : 0.0F;
  if (kind == 2) return kOdd[random() % 8];
  return random() % 97 == 0 ? std::uniform_real_distribution<float>(0, 1)(random) : 0.0F;
}

Inputs anything(unsigned seed) {
  std::mt19937 random(seed);
  const auto up_to = [&](std::uint32_t most) { return 1 + static_cast<std::int64_t>(random() % most); };
  Inputs in{};
  in.maps = {up_to(3), up_to(4), 0, 0, up_to(seed % 5 == 0 ? 2 : 40), up_to(seed % 7 == 0 ? 2 : 75)};
  in.maps.padded_rows = in.maps.rows + up_to(5) - 1;
  in.maps.padded_columns = in.maps.columns + up_to(5) - 1;
  in.rules = {0.5F, up_to(50), std::uniform_real_distribution<double>(0.2, 5)(random), up_to(200), up_to(200)};
  if (seed % 3 == 0) in.rules.threshold = seed % 2 == 0 ? 0.0F : -5.0F;
  in.heart.resize(static_cast<std::size_t>(in.maps.stacks * in.maps.slices * in.maps.padded_plane()));
  for (float& value : in.heart) value = value_of(seed % 4, random);
  return in;
}

}  // namespace

TEST(centers_of_anything_are_those_of_the_reference) {
  const unsigned cases = test::watched() ? 10 : 80;
  for (unsigned seed = 0; seed < cases; ++seed) check_centres(anything(seed));
}

TEST(grids_with_more_rows_and_columns_than_a_cta_has_threads) {
  if (test::watched()) return CHECK(true);
  std::mt19937 random(5);
  for (const auto& [rows, columns] : {std::pair{3, 1100}, std::pair{1100, 3}}) {
    Inputs in{{1, 1, rows, columns, rows, columns}, {0.5F, 1050, 1.7, 96, 96}, {}};
    for (int pixel = 0; pixel < rows * columns; ++pixel) in.heart.push_back(value_of(0, random));
    check_centres(in);
  }
}

TEST(nothing_but_what_does_not_count_is_the_middle) {
  for (const float value : {0.0F, 0.49999F, std::numeric_limits<float>::quiet_NaN()}) {
    const Inputs in{{2, 3, 8, 9, 7, 6}, {0.5F, 4, 2.5, 10, 12}, std::vector<float>(2 * 3 * 72, value)};
    check_centres(in);
    for (const CropOrigin& found : on_device(in)) {
      CHECK(found.row == middle_start(7, 2.5, 10) && found.column == middle_start(6, 2.5, 12));
    }
  }
}

TEST(all_boxes_alike_give_the_first) {
  check_centres({{1, 2, 40, 45, 40, 45}, {0.5F, 7, 1.5, 30, 30}, std::vector<float>(2 * 40 * 45, 1.0F)});
}

TEST(many_stacks) {
  std::mt19937 random(9);
  Inputs in{{300, 1, 2, 3, 2, 3}, {0.5F, 2, 1, 1, 1}, {}};
  for (int pixel = 0; pixel < 300 * 6; ++pixel) in.heart.push_back(value_of(0, random));
  check_centres(in);
}

TEST(what_makes_no_sense_is_refused_before_a_launch) {
  const auto find = [](const HeartMaps& maps, const HeartLocalizationRules& rules) {
    heart_localization_cuda(nullptr, maps, rules, nullptr, nullptr, nullptr);
  };
  CHECK_THROWS(find({0, 1, 1, 1, 1, 1}, {0.5F, 1, 1, 1, 1}), std::invalid_argument, "maps of heart_localization");
  CHECK_THROWS(find({1, 1, 1, 1, 1, 2}, {0.5F, 1, 1, 1, 1}), std::invalid_argument, "at most the map's");
  CHECK_THROWS(find({1, 1, 1, 1, 1, 1}, {0.5F, 1, -1, 1, 1}), std::invalid_argument, "ratio of heart_localization");
  CHECK_THROWS(find({1LL << 31, 1, 1, 1, 1, 1}, {0.5F, 1, 1, 1, 1}), std::invalid_argument, "fewer than 2^31 stacks");
  CHECK_THROWS(heart_localization_workspace(1, 0, 5), std::invalid_argument, "got 0");
  CHECK(heart_localization_workspace(2, 3, 5) == std::size_t{2 * 4 * 6 * 8});
}

}  // namespace cardiacseg::ops
