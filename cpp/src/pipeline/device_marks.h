#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "cuda/event.h"
#include "pipeline/stage_clock.h"

namespace cardiacseg {

/// Marks on a stream where one stage ends and the next begins. In a graph they become part of it.
class DeviceMarks {
 public:
  /// Where the next mark will be.
  std::size_t position() const { return next_; }

  /// The marks from `position` on are set anew, in the same order.
  void rewind(std::size_t position = 0) { next_ = position; }

  /// What came since the mark before was `stage`; of the first mark nobody asks. Throws cuda::CudaError.
  void set(const std::string& stage, cudaStream_t stream) {
    if (next_ == marks_.size()) marks_.push_back({stage, cuda::Event()});
    marks_[next_++].event.record(stream);
  }

  /// Adds the time of every stage, once the stream has passed all marks. Throws cuda::CudaError.
  void add_to(StageClock& clock) const {
    for (std::size_t k = 1; k < marks_.size(); ++k) {
      clock.add(marks_[k].stage, static_cast<double>(marks_[k].event.since(marks_[k - 1].event)));
    }
  }

  const cuda::Event& last() const { return marks_.back().event; }
  const cuda::Event& first() const { return marks_.front().event; }

 private:
  struct Mark {
    std::string stage;
    cuda::Event event;
  };

  std::vector<Mark> marks_;
  std::size_t next_ = 0;
};

}  // namespace cardiacseg
