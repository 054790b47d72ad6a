#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "cardiacseg/segmentation.h"

namespace cardiacseg {

/// Adds up the wall time of named stages, in the order in which each was first entered.
class StageClock {
 public:
  template <class Work>
  void time(const std::string& stage, Work&& work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    const std::chrono::duration<double, std::milli> spent = std::chrono::steady_clock::now() - start;
    add(stage, spent.count());
  }

  /// Milliseconds that were measured elsewhere.
  void add(const std::string& stage, double milliseconds) { entry(stage).milliseconds += milliseconds; }

  const std::vector<StageTime>& stages() const { return stages_; }

 private:
  StageTime& entry(const std::string& stage) {
    for (StageTime& known : stages_) {
      if (known.stage == stage) return known;
    }
    return stages_.emplace_back(StageTime{stage, 0.0});
  }

  std::vector<StageTime> stages_;
};

}  // namespace cardiacseg
