#pragma once

#include <algorithm>
#include <cstdint>
#include <thread>
#include <vector>

namespace cardiacseg::ops {

/// Parts into which `parallel_for` divides 0..`count`, at least 1: one for each thread that has work.
inline std::int64_t part_count(std::int64_t count, int threads) {
  const std::int64_t cores = threads > 0 ? threads : std::max(1U, std::thread::hardware_concurrency());
  return std::max<std::int64_t>(1, std::min(count, cores));
}

/// Calls `body(begin, end)` for parts of 0..`count` that do not overlap and together are all of it, on up to `threads`
/// threads, of which the caller's is one; 0: as many as there are cores. `body` must not throw, and what it does must
/// not depend on how the range is parted.
template <class Body>
void parallel_for(std::int64_t count, int threads, const Body& body) {
  const std::int64_t parts = part_count(count, threads);
  const auto first = [=](std::int64_t part) { return count / parts * part + std::min(part, count % parts); };
  std::vector<std::thread> others;
  others.reserve(static_cast<std::size_t>(parts - 1));
  for (std::int64_t part = 1; part < parts; ++part) {
    others.emplace_back([&body, begin = first(part), end = first(part + 1)] { body(begin, end); });
  }
  body(first(0), first(1));
  for (std::thread& other : others) other.join();
}

}  // namespace cardiacseg::ops
