#pragma once

#include <algorithm>
#include <cstdint>
#include <exception>
#include <thread>
#include <vector>

namespace cardiacseg::ops {

/// Parts into which `parallel_for` divides 0..`count`, at least 1: one for each thread that has work.
inline std::int64_t part_count(std::int64_t count, int threads) {
  const std::int64_t cores = threads > 0 ? threads : std::max(1U, std::thread::hardware_concurrency());
  return std::max<std::int64_t>(1, std::min(count, cores));
}

/// Calls `run(part)`, which must not throw, for 1..`parts`, each in a thread of its own, and for 0 in the caller's.
/// Parts for which the system has no thread left run in the caller's too. The threads live as long as the call: nothing
/// of them is there when a process forks or ends.
template <class Run>
void run_parts(std::int64_t parts, const Run& run) {
  std::vector<std::thread> others;
  others.reserve(static_cast<std::size_t>(parts - 1));
  std::int64_t next = 1;
  try {
    for (; next < parts; ++next) others.emplace_back(run, next);
  } catch (const std::exception&) {  // `next` has none
  }
  run(0);
  for (; next < parts; ++next) run(next);
  for (std::thread& other : others) other.join();
}

/// Calls `body(begin, end)` for parts of 0..`count` that do not overlap and together are all of it, on up to `threads`
/// threads, of which the caller's is one; 0: as many as there are cores. What `body` does must not depend on how the
/// range is parted. Throws what `body` threw for the first part that failed, once all parts have ended.
template <class Body>
void parallel_for(std::int64_t count, int threads, const Body& body) {
  const std::int64_t parts = part_count(count, threads);
  const auto first = [=](std::int64_t part) { return count / parts * part + std::min(part, count % parts); };
  std::vector<std::exception_ptr> failures(static_cast<std::size_t>(parts));
  run_parts(parts, [&](std::int64_t part) noexcept {
    try {
      body(first(part), first(part + 1));
    } catch (...) {
      failures[static_cast<std::size_t>(part)] = std::current_exception();
    }
  });
  for (const std::exception_ptr& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
}

}  // namespace cardiacseg::ops
