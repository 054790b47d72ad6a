#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "expect_error.h"
#include "ops/parallel.h"

namespace cardiacseg::ops {

TEST(Parallel, PartsCoverTheRangeOnce) {
  for (const std::int64_t count : {0, 1, 2, 5, 17}) {
    for (const int threads : {0, 1, 2, 5, 40}) {
      std::vector<std::atomic<int>> calls(static_cast<std::size_t>(count));
      parallel_for(count, threads, [&](std::int64_t begin, std::int64_t end) {
        for (; begin < end; ++begin) ++calls[static_cast<std::size_t>(begin)];
      });
      EXPECT_TRUE(std::all_of(calls.begin(), calls.end(), [](const auto& number) { return number == 1; }));
    }
  }
}

// Of any part, the caller's (0) or another thread's, when all others have ended.
TEST(Parallel, ExceptionReachesTheCaller) {
  for (const std::int64_t bad : {0, 1, 3}) {
    std::atomic<int> ended = 0;
    const auto body = [&](std::int64_t begin, std::int64_t) {
      if (begin == bad) throw std::out_of_range("part " + std::to_string(begin));
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      ++ended;
    };
    EXPECT_THROW_MESSAGE(parallel_for(4, 4, body), std::out_of_range, "part " + std::to_string(bad));
    EXPECT_EQ(ended, 3);
  }
}

TEST(Parallel, FirstPartsExceptionWins) {
  const auto body = [](std::int64_t begin, std::int64_t) {
    if (begin > 1) throw std::runtime_error("part " + std::to_string(begin));
  };
  EXPECT_THROW_MESSAGE(parallel_for(5, 5, body), std::runtime_error, "part 2");
}

TEST(Parallel, BodyMayStartThreads) {
  std::atomic<int> sum = 0;
  const auto inner = [&](std::int64_t begin, std::int64_t end) { sum += static_cast<int>(end - begin); };
  parallel_for(3, 3, [&](std::int64_t, std::int64_t) { parallel_for(10, 2, inner); });
  EXPECT_EQ(sum, 30);
}

}  // namespace cardiacseg::ops
