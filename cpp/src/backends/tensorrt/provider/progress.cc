#include "backends/tensorrt/provider/progress.h"

#include "cardiacseg/error.h"

namespace cardiacseg::tensorrt {

bool ProgressReport::tell(const std::string& phase, int step, int steps) noexcept {
  if (!report_ || stopped_) return !stopped_;
  try {
    const std::lock_guard lock(mutex_);
    if (!report_(phase, step, steps)) stopped_ = true;
  } catch (...) {
    thrown_ = std::current_exception();
    stopped_ = true;
  }
  return !stopped_;
}

void ProgressReport::throw_if_stopped(const std::string& name) const {
  if (thrown_) std::rethrow_exception(thrown_);
  if (stopped_) throw Error(ErrorCode::cancelled, "building the engine " + name + " was stopped by its caller");
}

#ifdef CARDIACSEG_PROGRESS_MONITOR
void ProgressMonitor::phaseStart(const char* phase, const char* parent, std::int32_t steps) noexcept {
  if (parent != nullptr) return;
  {
    const std::lock_guard lock(mutex_);
    outermost_ = phase;
    steps_ = steps;
  }
  report_.tell(phase, 0, steps);
}

bool ProgressMonitor::stepComplete(const char* phase, std::int32_t step) noexcept {
  int steps = 0;
  {
    const std::lock_guard lock(mutex_);
    if (outermost_ != phase) return !report_.stopped();
    steps = steps_;
  }
  return report_.tell(phase, step + 1, steps);
}

void ProgressMonitor::phaseFinish(const char* phase) noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (outermost_ != phase) return;
    outermost_.clear();
  }
  report_.tell(phase, steps_, steps_);
}
#endif

}  // namespace cardiacseg::tensorrt
