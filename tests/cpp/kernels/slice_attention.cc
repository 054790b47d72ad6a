#include "ops/slice_attention.h"

#include <array>
#include <random>
#include <string>
#include <type_traits>

#include "check.h"
#include "device_array.h"
#include "ops/slice_attention_cuda.h"
#include "reference_slice_attention.h"

namespace cardiacseg::ops {
namespace {

using test::DeviceArray;
using Slices = std::vector<std::int32_t>;  ///< of each stack

template <class T>
constexpr ScalarType kType = std::is_same_v<T, float>  ? ScalarType::float32
                             : std::is_same_v<T, Half> ? ScalarType::float16
                                                       : ScalarType::bfloat16;

/// Largest error that is never too large: of one rounding of results of about 1.
template <class T>
constexpr double kTolerance = std::is_same_v<T, float>  ? 1e-6
                              : std::is_same_v<T, Half> ? 5e-4
                                                        : 4e-3;

/// A batch of stacks; `cu_slices` is empty for intra-slice attention.
template <class T>
struct Batch {
  AttentionShape shape;
  Slices cu_slices;
  std::vector<T> qkv;

  std::vector<test::Rows> groups() const { return test::groups_of(shape, cu_slices); }
};

template <class T>
Batch<T> inter_batch(const Slices& slices, std::int64_t positions, std::int64_t channels, std::int64_t heads,
                     float size = 1, unsigned seed = 0) {
  Batch<T> batch{{static_cast<std::int64_t>(slices.size()), 0, positions, channels, heads}, {0}, {}};
  for (const std::int32_t count : slices) batch.cu_slices.push_back(batch.cu_slices.back() + count);
  batch.shape.slices = batch.cu_slices.back();
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, size);
  batch.qkv.resize(static_cast<std::size_t>(batch.shape.slices * positions * 3 * channels));
  for (T& value : batch.qkv) value = from_float<T>(normal(random));
  return batch;
}

template <class T>
Batch<T> intra_batch(std::int32_t slices, std::int64_t positions, std::int64_t channels, std::int64_t heads,
                     float size = 1, unsigned seed = 0) {
  Batch<T> batch = inter_batch<T>({slices}, positions, channels, heads, size, seed);
  batch.cu_slices.clear();
  return batch;
}

template <class T>
std::vector<T> on_host(const Batch<T>& batch, int threads = 1) {
  std::vector<T> output(batch.qkv.size() / 3, from_float<T>(NAN));
  if (batch.cu_slices.empty()) {
    intra_slice_attention(kType<T>, batch.qkv.data(), batch.shape, output.data(), threads);
  } else {
    inter_slice_attention(kType<T>, batch.qkv.data(), batch.cu_slices.data(), batch.shape, output.data(), threads);
  }
  return output;
}

template <class T>
std::vector<T> on_device(const Batch<T>& batch) {
  const DeviceArray<T> qkv(batch.qkv);
  const DeviceArray<T> output(batch.qkv.size() / 3);
  if (batch.cu_slices.empty()) {
    intra_slice_attention_cuda(kType<T>, qkv.data(), batch.shape, output.data(), nullptr);
  } else {
    const DeviceArray<std::int32_t> cu_slices(batch.cu_slices);
    inter_slice_attention_cuda(kType<T>, qkv.data(), cu_slices.data(), batch.shape, output.data(), nullptr);
  }
  return output.values();
}

template <class T>
std::string describe(const Batch<T>& batch) {
  return std::string(batch.cu_slices.empty() ? "intra" : "inter") + " type " +
         std::to_string(static_cast<int>(kType<T>)) + ", " + std::to_string(batch.shape.stacks) + " stacks, " +
         std::to_string(batch.shape.slices) + " slices, " + std::to_string(batch.shape.positions) + " positions, " +
         std::to_string(batch.shape.channels) + "/" + std::to_string(batch.shape.heads);
}

/// Largest distance; infinite if a value is not finite.
template <class Value>
double error_of(const std::vector<Value>& values, const std::vector<double>& wanted) {
  double largest = 0;
  for (std::size_t index = 0; index < values.size(); ++index) {
    const double error = std::abs(static_cast<double>(to_float(values[index])) - wanted[index]);
    if (!(error <= largest)) largest = std::isfinite(error) ? error : INFINITY;
  }
  return values.size() == wanted.size() ? largest : INFINITY;
}

/// Both versions against float64: at most twice the error of a framework that stores each step as T.
template <class T>
void check_batch(const Batch<T>& batch) {
  const std::vector<double> wanted = test::reference_double(batch.qkv, batch.shape, batch.groups());
  const double usual = error_of(test::reference_in_steps(batch.qkv, batch.shape, batch.groups()), wanted);
  const double allowed = std::max(2 * usual, kTolerance<T>);
  const double host = error_of(on_host(batch), wanted);
  const double device = error_of(on_device(batch), wanted);
  test::report(host <= allowed, "host, " + describe(batch) + ": error " + std::to_string(host), __FILE__, __LINE__);
  test::report(device <= allowed,
               "device, " + describe(batch) + ": error " + std::to_string(device) + " of " + std::to_string(allowed),
               __FILE__, __LINE__);
}

template <class Body>
void for_each_type(const Body& body) {
  body(float{});
  body(Half{});
  body(BFloat16{});
}

struct Heads {
  std::int64_t channels;
  std::int64_t heads;
};

/// Seg's and Ref's of the default model, those of the tests' tiny one, and the other head sizes; more than 16 heads.
constexpr std::array<Heads, 6> kHeads{{{192, 6}, {128, 4}, {32, 2}, {16, 2}, {128, 2}, {136, 17}}};

}  // namespace

TEST(inter_slice_attention_of_any_number_of_slices) {
  for_each_type([](auto zero) {
    for (std::int32_t slices = 1; slices <= 33; ++slices) check_batch(inter_batch<decltype(zero)>({slices}, 3, 32, 1));
    check_batch(inter_batch<decltype(zero)>({64}, 2, 32, 1));
    check_batch(inter_batch<decltype(zero)>({130}, 1, 32, 1));
  });
}

TEST(inter_slice_attention_at_any_number_of_positions) {
  for_each_type([](auto zero) {
    for (const std::int64_t positions : {1, 7, 64, 100, 144, 256}) {
      check_batch(inter_batch<decltype(zero)>({2, 5}, positions, 32, 1));
    }
  });
  if (!test::watched()) check_batch(inter_batch<Half>({10}, 1024, 32, 1));
}

TEST(intra_slice_attention_of_any_number_of_positions) {
  for_each_type([](auto zero) {
    for (const std::int64_t positions : {1, 7, 31, 32, 33, 64, 65, 100, 144, 256}) {
      check_batch(intra_batch<decltype(zero)>(positions < 100 ? 2 : 1, positions, 32, 1));
    }
  });
  if (!test::watched()) check_batch(intra_batch<Half>(1, 1024, 32, 1));
}

TEST(attention_with_the_heads_of_every_model) {
  for_each_type([](auto zero) {
    for (const auto& [channels, heads] : kHeads) {
      check_batch(inter_batch<decltype(zero)>({10}, 4, channels, heads));
      check_batch(intra_batch<decltype(zero)>(2, 24, channels, heads));
    }
  });
}

TEST(inter_slice_attention_of_a_ragged_batch) {
  for_each_type([](auto zero) {
    check_batch(inter_batch<decltype(zero)>({1, 10, 0, 17, 3, 32, 8, 0}, 5, 64, 2));
    check_batch(inter_batch<decltype(zero)>({0, 2}, 7, 32, 2));
  });
}

TEST(stacks_do_not_see_each_other) {
  for_each_type([](auto zero) {
    using T = decltype(zero);
    const Batch<T> alone = inter_batch<T>({9}, 4, 64, 2);
    Batch<T> batch = inter_batch<T>({9, 5}, 4, 64, 2, 1, 1);
    std::copy(alone.qkv.begin(), alone.qkv.end(), batch.qkv.begin());
    for (const auto& [one, all] : {std::pair(on_host(alone), on_host(batch)), {on_device(alone), on_device(batch)}}) {
      CHECK(std::equal(one.begin(), one.end(), all.begin(),
                       [](T a, T b) { return bits_of(to_float(a)) == bits_of(to_float(b)); }));
    }
  });
}

TEST(more_stacks_than_a_grid_is_high) {
  if (test::watched()) return CHECK(true);
  for_each_type([](auto zero) { check_batch(inter_batch<decltype(zero)>(Slices(65537, 1), 1, 8, 1)); });
}

TEST(attention_of_extreme_scores) {
  for_each_type([](auto zero) {
    check_batch(inter_batch<decltype(zero)>({12}, 4, 64, 2, 100));
    check_batch(intra_batch<decltype(zero)>(1, 40, 64, 2, 100));
    check_batch(intra_batch<decltype(zero)>(1, 40, 64, 2, 1e-4F));
  });
  check_batch(inter_batch<Half>({12}, 4, 64, 2, 10000));
  check_batch(intra_batch<BFloat16>(1, 20, 64, 2, 1e15F));
}

TEST(a_query_that_knows_its_key_takes_its_value) {
  for_each_type([](auto zero) {
    using T = decltype(zero);
    Batch<T> batch = inter_batch<T>({20}, 2, 32, 1);
    // Slice s asks for slice 19 - s: that key alone has the same sign in element s.
    for (std::size_t row = 0; row < 40; ++row) {
      for (std::size_t d = 0; d < 32; ++d) {
        batch.qkv[row * 96 + d] = from_float<T>(d == row / 2 ? 100.0F : 0.0F);
        batch.qkv[row * 96 + 32 + d] = from_float<T>(d == 19 - row / 2 ? 100.0F : 0.0F);
      }
    }
    for (const std::vector<T>& output : {on_host(batch), on_device(batch)}) {
      for (std::size_t row = 0; row < 40; ++row) {
        const std::size_t other = (19 - row / 2) * 2 + row % 2;
        for (std::size_t d = 0; d < 32; ++d) {
          CHECK_NEAR(to_float(output[row * 32 + d]), to_float(batch.qkv[other * 96 + 64 + d]), 1e-6);
        }
      }
    }
  });
}

TEST(the_host_version_is_the_reference_whatever_its_threads) {
  std::mt19937 random(7);
  const auto between = [&random](int low, int high) { return std::uniform_int_distribution(low, high)(random); };
  for (int round = 0; round < 60; ++round) {
    for_each_type([&](auto zero) {
      using T = decltype(zero);
      const int heads = between(1, 4);
      const int channels = heads * between(1, 40);
      const auto seed = static_cast<unsigned>(round);
      const Batch<T> batch = round % 2 == 0 ? inter_batch<T>({between(0, 9), between(1, 12), between(0, 3)},
                                                             between(1, 9), channels, heads, 2, seed)
                                            : intra_batch<T>(between(1, 3), between(1, 40), channels, heads, 2, seed);
      const std::vector<float> wanted = test::reference_float(batch.qkv, batch.shape, batch.groups());
      for (const int threads : {1, 3}) {
        const std::vector<T> found = on_host(batch, threads);
        bool same = found.size() == wanted.size();
        for (std::size_t i = 0; i < found.size(); ++i) {
          same = same && bits_of(to_float(found[i])) == bits_of(to_float(from_float<T>(wanted[i])));
        }
        CHECK(same);
      }
    });
  }
}

TEST(the_device_agrees_with_the_host_on_random_shapes) {
  std::mt19937 random(8);
  const auto between = [&random](int low, int high) { return std::uniform_int_distribution(low, high)(random); };
  for (int round = 0; round < (test::watched() ? 4 : 25); ++round) {
    for_each_type([&](auto zero) {
      using T = decltype(zero);
      const int size = 8 << between(0, 3);
      const int heads = between(1, 3);
      const auto seed = static_cast<unsigned>(round);
      check_batch(inter_batch<T>({between(0, 20), between(1, 40)}, between(1, 4), heads * size, heads, 1, seed));
      check_batch(intra_batch<T>(between(1, 2), between(1, 90), heads * size, heads, 1, seed));
    });
  }
}

#ifdef CARDIACSEG_SIMULATED_GPU
TEST(bfloat16_where_tensor_cores_do_not_know_it) {
  simulated_compute_capability_major = 7;
  check_batch(inter_batch<BFloat16>({10, 3}, 7, 64, 2));
  check_batch(intra_batch<BFloat16>(2, 50, 64, 2));
  simulated_compute_capability_major = 8;
}
#endif

TEST(shapes_that_do_not_fit_are_refused) {
  std::vector<float> memory(1024);
  const Slices cu_slices{0, 2};
  const auto host = [&](const AttentionShape& shape) {
    inter_slice_attention(ScalarType::float32, memory.data(), cu_slices.data(), shape, memory.data());
  };
  const auto device = [&](const AttentionShape& shape, const float* qkv) {
    intra_slice_attention_cuda(ScalarType::float16, qkv, shape, memory.data(), nullptr);
  };
  CHECK_THROWS(host({1, 2, 3, 20, 3}), std::invalid_argument, "20 channels and 3 heads");
  CHECK_THROWS(host({1, 2, 0, 16, 2}), std::invalid_argument, "extents of 1 or more");
  CHECK_THROWS(host({1, 3, 2, 16, 2}), std::invalid_argument, "rise from 0 to 3, got 0 to 2");
  alignas(16) float aligned[64];
  CHECK_THROWS(device({1, 1, 1, 24, 1}, aligned), std::invalid_argument, "heads of 8, 16, 32 or 64 channels, got 24");
  CHECK_THROWS(device({1, 1, 1, 8, 1}, aligned + 1), std::invalid_argument, "aligned to 16 bytes");
  CHECK_THROWS(device({1, 1 << 20, 1 << 12, 8, 1}, aligned), std::invalid_argument, "a CUDA grid can hold");
}

TEST(falling_cu_slices_are_refused) {
  std::vector<float> memory(1024);
  const Slices falling{0, 3, 2};
  CHECK_THROWS(
      inter_slice_attention(ScalarType::float32, memory.data(), falling.data(), {2, 2, 2, 8, 1}, memory.data()),
      std::invalid_argument, "not rising");
}

}  // namespace cardiacseg::ops
