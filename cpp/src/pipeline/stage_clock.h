#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cardiacseg/segmentation.h"

namespace cardiacseg {

/// Adds up the time of named stages, in the order in which each was first entered.
class StageClock {
 public:
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

/// Wall time of the host since it was made.
class Stopwatch {
 public:
  double milliseconds() const {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// A point in a space's work that knows when it was passed.
class Mark {
 public:
  virtual ~Mark() = default;

  /// Sets it after all work so far. In a graph it becomes a part of the graph, and each replay sets it again.
  virtual void set() = 0;

  /// Milliseconds from `start` to this mark, both passed.
  virtual double since(const Mark& start) const = 0;
};

/// Makes marks.
class MarkSource {
 public:
  virtual ~MarkSource() = default;
  virtual std::unique_ptr<Mark> make_mark() = 0;
};

/// Marks at the boundaries of stages, the same ones each time.
class Timeline {
 public:
  /// Sets the mark before the first stage.
  void begin(MarkSource& source) {
    next_ = 0;
    end("", source);
  }

  /// The work since the previous mark was `stage`.
  void end(const char* stage, MarkSource& source) {
    if (next_ == marks_.size()) marks_.emplace_back(stage, source.make_mark());
    marks_[next_++].second->set();
  }

  /// Adds the time of every stage, once all marks are passed.
  void add_to(StageClock& clock) const {
    for (std::size_t k = 1; k < marks_.size(); ++k) {
      clock.add(marks_[k].first, marks_[k].second->since(*marks_[k - 1].second));
    }
  }

 private:
  std::vector<std::pair<std::string, std::unique_ptr<Mark>>> marks_;
  std::size_t next_ = 0;
};

}  // namespace cardiacseg
