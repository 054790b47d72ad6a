#include "measure/rates.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

namespace cardiacseg {
namespace {

constexpr std::size_t kMostHarmonics = 6;
constexpr std::size_t kFewestHarmonics = 3;
constexpr int kSteps = 1000;  // of the cardiac cycle, at which the series is evaluated

double cycle_ms(std::span<const double> times, std::optional<double> rr_interval_ms) {
  const double covered = times.back() - times.front();
  if (rr_interval_ms && *rr_interval_ms > covered) return *rr_interval_ms;
  const auto frames = static_cast<double>(times.size());
  return covered * frames / (frames - 1);
}

/// Number of harmonics: each has at least three frames beside the mean, and at least two in every part of the cycle as
/// long as its wavelength.
std::size_t harmonics(std::span<const double> times, double cycle) {
  double gap = times.front() + cycle - times.back();
  for (std::size_t frame = 1; frame < times.size(); ++frame) gap = std::max(gap, times[frame] - times[frame - 1]);
  const auto seen = static_cast<std::size_t>(cycle / (2 * gap) + 1e-9);
  return std::min({kMostHarmonics, (times.size() - 1) / 3, seen});
}

/// 1, cos, sin, cos of the second harmonic, ... at `angle`.
std::vector<double> basis(double angle, std::size_t count) {
  std::vector<double> values{1};
  for (std::size_t k = 1; k <= count; ++k) {
    values.push_back(std::cos(static_cast<double>(k) * angle));
    values.push_back(std::sin(static_cast<double>(k) * angle));
  }
  return values;
}

/// Solves the symmetric, positive definite system `a` x = `b` in place by elimination; `a` is [n, n].
std::vector<double> solve(std::vector<double> a, std::vector<double> b) {
  const std::size_t n = b.size();
  for (std::size_t pivot = 0; pivot < n; ++pivot) {
    for (std::size_t row = pivot + 1; row < n; ++row) {
      const double factor = a[row * n + pivot] / a[pivot * n + pivot];
      for (std::size_t column = pivot; column < n; ++column) a[row * n + column] -= factor * a[pivot * n + column];
      b[row] -= factor * b[pivot];
    }
  }
  for (std::size_t row = n; row-- > 0;) {
    for (std::size_t column = row + 1; column < n; ++column) b[row] -= a[row * n + column] * b[column];
    b[row] /= a[row * n + row];
  }
  return b;
}

/// Coefficients in the order of `basis`, by least squares.
std::vector<double> fit(std::span<const double> ml, std::span<const double> angles, std::size_t count) {
  const std::size_t n = 2 * count + 1;
  std::vector<double> a(n * n);
  std::vector<double> b(n);
  for (std::size_t frame = 0; frame < ml.size(); ++frame) {
    const std::vector<double> values = basis(angles[frame], count);
    for (std::size_t row = 0; row < n; ++row) {
      for (std::size_t column = 0; column < n; ++column) a[row * n + column] += values[row] * values[column];
      b[row] += values[row] * ml[frame];
    }
  }
  return solve(std::move(a), std::move(b));
}

/// Derivative of the series by the angle.
double slope(std::span<const double> series, double angle) {
  const std::vector<double> values = basis(angle, series.size() / 2);
  double sum = 0;
  for (std::size_t harmonic = 1; 2 * harmonic < series.size(); ++harmonic) {
    const std::size_t sine = 2 * harmonic;
    sum += static_cast<double>(harmonic) * (series[sine] * values[sine - 1] - series[sine - 1] * values[sine]);
  }
  return sum;
}

VolumeRates extremes(std::span<const double> series, double first_ms, double cycle) {
  std::vector<double> slopes;
  for (int step = 0; step < kSteps; ++step) slopes.push_back(slope(series, 2 * std::numbers::pi * step / kSteps));
  const auto [fall, rise] = std::minmax_element(slopes.begin(), slopes.end());
  const auto time = [&](auto at) { return first_ms + static_cast<double>(at - slopes.begin()) * cycle / kSteps; };
  const double per_second = 2 * std::numbers::pi / cycle * 1000;
  return {-*fall * per_second, time(fall), *rise * per_second, time(rise)};
}

}  // namespace

std::optional<VolumeRates> volume_rates(std::span<const double> ml, std::span<const double> times_ms,
                                        std::optional<double> rr_interval_ms) {
  if (times_ms.size() < 2 || std::all_of(ml.begin(), ml.end(), [](double volume) { return volume == 0; })) return {};
  const double cycle = cycle_ms(times_ms, rr_interval_ms);
  const std::size_t count = harmonics(times_ms, cycle);
  if (count < kFewestHarmonics) return {};
  std::vector<double> angles;
  for (const double time : times_ms) angles.push_back(2 * std::numbers::pi * (time - times_ms.front()) / cycle);
  return extremes(fit(ml, angles, count), times_ms.front(), cycle);
}

}  // namespace cardiacseg
