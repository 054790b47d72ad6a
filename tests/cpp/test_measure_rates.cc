#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numbers>
#include <vector>

#include "measure/rates.h"

namespace cardiacseg {
namespace {

constexpr double kBeat = 800;  // ms

/// 120 ml + 50 ml cos(angle): falls fastest, by 50 ml times the angular frequency, a quarter of the beat on.
double cosine(double angle) { return 120 + 50 * std::cos(angle); }
constexpr double kCosineRate = 50 * 2 * std::numbers::pi / kBeat * 1000;

std::vector<double> even_times(int frames, double first_ms = 0) {
  std::vector<double> times;
  for (int frame = 0; frame < frames; ++frame) times.push_back(first_ms + frame * kBeat / frames);
  return times;
}

std::optional<VolumeRates> rates(const std::vector<double>& times, const std::function<double(double)>& volume,
                                 std::optional<double> rr = kBeat) {
  std::vector<double> ml;
  for (const double time : times) ml.push_back(volume(2 * std::numbers::pi * time / kBeat));
  return volume_rates(ml, times, rr);
}

}  // namespace

TEST(VolumeRates, RatesOfACosine) {
  for (const int frames : {10, 13, 25, 40}) {
    const auto found = rates(even_times(frames), cosine);
    EXPECT_NEAR(found->peak_ejection_ml_s, kCosineRate, 1e-6);
    EXPECT_NEAR(found->peak_filling_ml_s, kCosineRate, 1e-6);
    EXPECT_NEAR(found->peak_ejection_time_ms, 200, 1e-6);
    EXPECT_NEAR(found->peak_filling_time_ms, 600, 1e-6);
  }
}

// 60 cos a + 20 cos 3a has the slope -60 (sin a + sin 3a) = -240 sin a cos^2 a, steepest where cos^2 a = 2 / 3.
TEST(VolumeRates, RatesOfTwoHarmonics) {
  const auto found = rates(even_times(20), [](double a) { return 100 + 60 * std::cos(a) + 20 * std::cos(3 * a); });
  const double slope = 240 * std::sqrt(1.0 / 3) * 2 / 3 * 2 * std::numbers::pi / kBeat * 1000;
  EXPECT_NEAR(found->peak_ejection_ml_s, slope, slope * 1e-4);
  EXPECT_NEAR(found->peak_ejection_time_ms, std::acos(std::sqrt(2.0 / 3)) / (2 * std::numbers::pi) * kBeat, 1);
}

// Noise of every other frame is far above the sixth harmonic.
TEST(VolumeRates, FrameToFrameNoiseIsSmoothedAway) {
  std::vector<double> ml;
  const std::vector<double> times = even_times(24);
  for (std::size_t frame = 0; frame < times.size(); ++frame) {
    ml.push_back(cosine(2 * std::numbers::pi * times[frame] / kBeat) + (frame % 2 == 0 ? 4 : -4));
  }
  EXPECT_NEAR(volume_rates(ml, times, kBeat)->peak_ejection_ml_s, kCosineRate, 1e-6);
}

TEST(VolumeRates, UnevenFramesArePlacedByTheirTimes) {
  std::vector<double> times = even_times(25, 12);
  for (std::size_t frame = 0; frame < times.size(); ++frame) times[frame] += frame % 3 == 0 ? 7 : -2;
  const auto found = rates(times, cosine);
  EXPECT_NEAR(found->peak_ejection_ml_s, kCosineRate, 0.01);
  EXPECT_NEAR(found->peak_filling_time_ms, 600, 1);
}

// Prospective gating leaves the end of the beat out: here 12 %, which four harmonics bridge.
TEST(VolumeRates, PartlyCoveredCardiacCycle) {
  std::vector<double> times;
  for (int frame = 0; frame < 23; ++frame) times.push_back(frame * 32);
  const auto found = rates(times, cosine);
  EXPECT_NEAR(found->peak_ejection_ml_s, kCosineRate, 1e-6);
  EXPECT_NEAR(found->peak_ejection_time_ms, 200, 1);
  times.resize(17);  // a third is missing
  EXPECT_FALSE(rates(times, cosine));
}

TEST(VolumeRates, UnknownRRIntervalIsThatOfTheFrames) {
  for (const std::optional<double> rr : {std::optional<double>{}, std::optional<double>{700}}) {
    EXPECT_NEAR(rates(even_times(25), cosine, rr)->peak_filling_ml_s, kCosineRate, 1e-6);
  }
}

TEST(VolumeRates, NoRatesOfFewFramesOrOfNothing) {
  EXPECT_FALSE(rates(even_times(9), cosine));
  EXPECT_FALSE(rates(even_times(1), cosine));
  EXPECT_FALSE(rates({}, cosine));
  EXPECT_FALSE(rates(even_times(25), [](double) { return 0.0; }));
  EXPECT_NEAR(rates(even_times(25), [](double) { return 70.0; })->peak_filling_ml_s, 0, 1e-6);
}

}  // namespace cardiacseg
