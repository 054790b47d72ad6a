#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "ops/exponential.h"

namespace cardiacseg::ops {
namespace {

/// Largest error of `found` against `wanted` in units in the last place, over floats from -0 down to `lowest`.
template <class Found, class Wanted>
double largest_error(float lowest, const Found& found, const Wanted& wanted) {
  double largest = 0;
  for (std::uint32_t bits = bits_of(-0.0F); float_of(bits) >= lowest; bits += 997) {
    const float x = float_of(bits);
    const double exact = wanted(static_cast<double>(x));
    const double unit = std::ldexp(1.0, std::ilogb(exact) - 23);
    const double error = std::abs(static_cast<double>(found(x)) - exact) / unit;
    if (!(error <= largest)) largest = std::isfinite(error) ? error : HUGE_VAL;
  }
  return largest;
}

}  // namespace

TEST(Exponential, ErrorIsAtMostTwoUlp) {
  EXPECT_LT(largest_error(-87.0F, exp_of_nonpositive, [](double x) { return std::exp(x); }), 2);
  EXPECT_LT(largest_error(-126.0F, exp2_of_nonpositive, [](double x) { return std::exp2(x); }), 2);
}

TEST(Exponential, IntegerPowersOfTwoAreExact) {
  for (int n = 0; n >= -126; --n) EXPECT_EQ(exp2_of_nonpositive(static_cast<float>(n)), std::ldexp(1.0F, n));
}

TEST(Exponential, ZeroGivesOne) {
  for (const float zero : {0.0F, -0.0F}) {
    EXPECT_EQ(exp_of_nonpositive(zero), 1.0F);
    EXPECT_EQ(exp2_of_nonpositive(zero), 1.0F);
  }
}

TEST(Exponential, UnderflowGivesZero) {
  for (const float x : {-126.001F, -1e4F, -1e30F, -std::numeric_limits<float>::max(), -HUGE_VALF}) {
    EXPECT_EQ(bits_of(exp_of_nonpositive(x)), 0);
    EXPECT_EQ(bits_of(exp2_of_nonpositive(x)), 0);
  }
  EXPECT_EQ(bits_of(exp_of_nonpositive(-87.001F)), 0);
}

// Whatever else its bits say.
TEST(Exponential, NanStaysNan) {
  for (std::uint32_t payload = 1; payload < (1U << 23); payload += 4097) {
    for (const std::uint32_t sign : {0U, 0x80000000U}) {
      const float nan = float_of(sign | 0x7F800000U | payload);
      EXPECT_TRUE(std::isnan(exp_of_nonpositive(nan)));
      EXPECT_TRUE(std::isnan(exp2_of_nonpositive(nan)));
    }
  }
}

}  // namespace cardiacseg::ops
