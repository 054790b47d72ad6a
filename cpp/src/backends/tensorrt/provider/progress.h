#pragma once

#include <atomic>
#include <exception>
#include <mutex>
#include <string>

#include "backends/tensorrt/provider.h"
#include "backends/tensorrt/provider/version.h"

namespace cardiacseg::tensorrt {

/// Tells the caller how far a build is, from whatever thread TensorRT works in, one call at a time.
class ProgressReport {
 public:
  explicit ProgressReport(const BuildProgress& report) : report_(report) {}

  /// False once the caller wants the build stopped, or its function threw.
  bool tell(const std::string& phase, int step, int steps) noexcept;

  bool stopped() const { return stopped_; }

  /// Throws what the caller's function threw, or Error(cancelled) for the build of `name` where it asked to stop.
  void throw_if_stopped(const std::string& name) const;

 private:
  const BuildProgress& report_;
  std::mutex mutex_;
  std::atomic<bool> stopped_ = false;
  std::exception_ptr thrown_;
};

#if CARDIACSEG_TENSORRT_API >= 900
#define CARDIACSEG_PROGRESS_MONITOR

/// Passes on the steps of outermost phases; inner ones, which come in thousands, only ask whether to go on.
class ProgressMonitor final : public nvinfer1::IProgressMonitor {
 public:
  explicit ProgressMonitor(ProgressReport& report) : report_(report) {}

  void phaseStart(const char* phase, const char* parent, std::int32_t steps) noexcept override;
  bool stepComplete(const char* phase, std::int32_t step) noexcept override;
  void phaseFinish(const char* phase) noexcept override;

 private:
  std::string outermost_;
  int steps_ = 0;
  std::mutex mutex_;
  ProgressReport& report_;
};
#endif

}  // namespace cardiacseg::tensorrt
