#include "ops/stage_counts.h"

#include <cstring>
#include <limits>
#include <random>
#include <string>

#include "check.h"
#include "device_array.h"
#include "ops/stage_counts_cuda.h"
#include "reference_stage_counts.h"

namespace cardiacseg::ops {
namespace {

using test::DeviceArray;

using Counts = std::vector<LabelCounts>;

struct Inputs {
  StageShape shape;
  std::vector<float> seg;
  std::vector<float> ref;
  std::vector<float> presence;
  float threshold = 0.5F;
};

/// What is there before the pixels are added.
Counts counted_before(const Inputs& in) {
  return Counts(static_cast<std::size_t>(in.shape.stacks), LabelCounts{{1, 2, 3, 4}, {5, 6, 7, 8}, {9, 10, 11, 12}});
}

Counts on_host(const Inputs& in, int threads) {
  Counts counts = counted_before(in);
  stage_counts(in.seg, in.ref, in.presence, in.threshold, in.shape, counts, threads);
  return counts;
}

/// `values` with `shift` of them before the first.
DeviceArray<float> shifted(const std::vector<float>& values, std::size_t shift) {
  std::vector<float> all(shift, 0.0F);
  all.insert(all.end(), values.begin(), values.end());
  return DeviceArray<float>(all);
}

Counts on_device(const Inputs& in, std::size_t shift = 0) {
  const DeviceArray<float> seg = shifted(in.seg, 0);
  const DeviceArray<float> ref = shifted(in.ref, shift);
  const DeviceArray<float> presence(in.presence);
  const DeviceArray<LabelCounts> counts(counted_before(in));
  stage_counts_cuda(seg.data(), ref.data() + shift, in.presence.empty() ? nullptr : presence.data(), in.threshold,
                    in.shape, counts.data(), nullptr);
  return counts.values();
}

Counts by_reference(const Inputs& in) {
  const Counts found = test::reference_stage_counts(in.seg, in.ref, in.presence, in.threshold, in.shape);
  Counts counts = counted_before(in);
  for (std::size_t stack = 0; stack < counts.size(); ++stack) {
    for (std::size_t label = 0; label < 4; ++label) {
      counts[stack].first[label] += found[stack].first[label];
      counts[stack].second[label] += found[stack].second[label];
      counts[stack].both[label] += found[stack].both[label];
    }
  }
  return counts;
}

bool same(const Counts& a, const Counts& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(LabelCounts)) == 0;
}

void check_counts(const Inputs& in) {
  const Counts wanted = by_reference(in);
  const std::string what = std::to_string(in.shape.stacks) + " x " + std::to_string(in.shape.slices) + " slices of " +
                           std::to_string(in.shape.rows) + " x " + std::to_string(in.shape.columns);
  test::report(same(on_host(in, 1), wanted), "host: " + what, __FILE__, __LINE__);
  test::report(same(on_host(in, 3), wanted), "host, 3 threads: " + what, __FILE__, __LINE__);
  test::report(same(on_device(in), wanted), "device: " + what, __FILE__, __LINE__);
  test::report(same(on_device(in, 1), wanted), "device, not aligned: " + what, __FILE__, __LINE__);
}

/// Numbers that often tie, and some that are none.
float logit(std::mt19937& random) {
  const auto kind = random() % 40;
  if (kind == 0) return std::numeric_limits<float>::quiet_NaN();
  if (kind == 1) return std::numeric_limits<float>::infinity();
  if (kind == 2) return -std::numeric_limits<float>::infinity();
  return kind < 20 ? static_cast<float>(random() % 5) : std::normal_distribution<float>(2, 2)(random);
}

Inputs filled(const StageShape& shape, unsigned seed) {
  std::mt19937 random(seed);
  Inputs in{shape, {}, {}, {}};
  const auto slices = static_cast<std::size_t>(shape.stacks * shape.slices);
  in.seg.resize(4 * slices * static_cast<std::size_t>(shape.rows * shape.columns));
  in.ref.resize(in.seg.size());
  for (float& value : in.seg) value = logit(random);
  for (float& value : in.ref) value = logit(random);
  in.presence.resize(seed % 4 == 0 ? 0 : 3 * slices);
  for (float& value : in.presence) value = static_cast<float>(random() % 5) / 4;  // often just 0.5
  return in;
}

}  // namespace

TEST(counts_of_anything_are_those_of_the_reference) {
  const unsigned cases = test::watched() ? 10 : 120;
  for (unsigned seed = 0; seed < cases; ++seed) {
    std::mt19937 random(1000 + seed);
    const auto up_to = [&](std::uint32_t most) { return 1 + static_cast<std::int64_t>(random() % most); };
    check_counts(filled({up_to(3), up_to(4), up_to(20), up_to(30)}, seed));
  }
}

// More than one CTA for a slice, the last one full, with one pixel, and with four.
TEST(large_slices_are_shared_by_ctas) {
  for (const auto& [rows, columns] : {std::pair{64, 64}, std::pair{683, 3}, std::pair{1, 2052}, std::pair{50, 100}}) {
    check_counts(filled({2, 2, rows, columns}, static_cast<unsigned>(columns)));
  }
}

// All pixels of a CTA in one label: the largest numbers that are packed.
TEST(one_label_everywhere) {
  for (std::size_t label = 0; label < 4; ++label) {
    Inputs in{{1, 1, 64, 96}, std::vector<float>(4 * 64 * 96, 0.0F), {}, {}};
    std::fill_n(in.seg.begin() + static_cast<std::ptrdiff_t>(label * 64 * 96), 64 * 96, 1.0F);
    in.ref = in.seg;
    check_counts(in);
    CHECK(on_device(in)[0].both[label] == 9 + static_cast<std::int32_t>(label) + 64 * 96);
  }
}

TEST(what_cannot_be_is_refused_before_a_launch) {
  const auto count = [](const StageShape& shape) {
    stage_counts_cuda(nullptr, nullptr, nullptr, 0.5F, shape, nullptr, nullptr);
  };
  CHECK_THROWS(count({1, 1, 0, 1}), std::invalid_argument, "logits of stage_counts: expected extents of 1");
  CHECK_THROWS(count({1, 4, 1 << 15, 1 << 15}), std::invalid_argument, "fewer than 2^31 pixels in a stack");
  CHECK_THROWS(count({1LL << 20, 1 << 11, 1, 1}), std::invalid_argument, "fewer than 2^31 CTAs");
}

}  // namespace cardiacseg::ops
