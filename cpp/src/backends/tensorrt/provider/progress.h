#pragma once

#include <algorithm>
#include <exception>
#include <mutex>
#include <string>

#include "backends/tensorrt/provider/tensorrt.h"
#include "cardiacseg/engines.h"
#include "cardiacseg/error.h"

#if CARDIACSEG_TENSORRT_API >= 900
#define CARDIACSEG_PROGRESS_MONITOR
#endif

namespace cardiacseg::tensorrt {

/// Reports a build's progress to the caller, from any thread of TensorRT, one call at a time. It passes on the steps of
/// outermost phases; inner ones, of which there are thousands, only ask whether to go on.
class BuildReport
#ifdef CARDIACSEG_PROGRESS_MONITOR
    final : public nvinfer1::IProgressMonitor
#endif
{
 public:
  explicit BuildReport(const EngineProgress& report) : report_(report) {}

  /// False once the caller wants the build stopped, or its function threw.
  bool tell(const std::string& phase, int step, int steps) noexcept {
    const std::lock_guard lock(mutex_);
    return tell_locked(phase, step, steps);
  }

  /// Throws what the caller's function threw, or Error(cancelled) for the build of `name` if it asked to stop.
  void throw_if_stopped(const std::string& name) const {
    const std::lock_guard lock(mutex_);
    if (thrown_) std::rethrow_exception(thrown_);
    if (stopped_) throw Error(ErrorCode::cancelled, "building the engine " + name + " was stopped by its caller");
  }

#ifdef CARDIACSEG_PROGRESS_MONITOR
  void phaseStart(const char* phase, const char* parent, std::int32_t steps) noexcept override {
    if (parent != nullptr) return;
    const std::lock_guard lock(mutex_);
    outermost_ = phase;
    steps_ = steps;
    tell_locked(outermost_, 0, steps_);
  }

  bool stepComplete(const char* phase, std::int32_t step) noexcept override {
    const std::lock_guard lock(mutex_);
    return outermost_ == phase ? tell_locked(outermost_, std::min(step + 1, steps_), steps_) : !stopped_;
  }

  void phaseFinish(const char* phase) noexcept override {
    const std::lock_guard lock(mutex_);
    if (outermost_ != phase) return;
    tell_locked(outermost_, steps_, steps_);
    outermost_.clear();
  }
#endif

 private:
  /// The caller's function runs under the lock, so that it is never called twice at once. Like TensorRT's own
  /// monitors, it must not wait for the build.
  bool tell_locked(const std::string& phase, int step, int steps) noexcept {
    if (!report_ || stopped_) return !stopped_;
    try {
      stopped_ = !report_(phase, step, steps);
    } catch (...) {
      thrown_ = std::current_exception();
      stopped_ = true;
    }
    return !stopped_;
  }

  const EngineProgress& report_;
  mutable std::mutex mutex_;  ///< of all that follows
  bool stopped_ = false;
  std::exception_ptr thrown_;
  std::string outermost_;  ///< phase; empty between two
  int steps_ = 0;
};

}  // namespace cardiacseg::tensorrt
