#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "cuda/event.h"
#include "cuda/memory_pool.h"
#include "pipeline/cine_run.h"

namespace cardiacseg {

/// A plan and the stream that it works on.
class PlanStream {
 public:
  /// Throws cuda::CudaError, Error(backend).
  PlanStream(const Networks& networks, const BatchKind& kind, std::unique_ptr<Space> space) : space_(std::move(space)) {
    plan_.emplace(networks, kind, *space_);
  }
  PlanStream(const PlanStream&) = delete;
  PlanStream& operator=(const PlanStream&) = delete;
  ~PlanStream();

  ExecutionPlan& plan() { return *plan_; }
  ops::DeviceStream stream() const { return space_->stream(); }

  std::uint64_t last_acquired = 0;

 private:
  std::unique_ptr<Space> space_;
  std::optional<ExecutionPlan> plan_;
};

/// Streams with their plans, one for each concurrent run. Idle ones stay within a memory budget, and are dropped if
/// memory is short or if they were not used for long. Thread-safe.
class StreamPool {
 public:
  struct Limits {
    std::size_t bytes;                      ///< of the memory of all plans
    std::size_t idle_plans = 8;             ///< a protocol has one field of view and few numbers of slices
    std::uint64_t idle_acquisitions = 256;  ///< after which an idle plan was not used for long
  };

  /// `networks` must outlive it; at most `threads` threads of the host copy pixels to contiguous memory.
  StreamPool(const Networks& networks, std::shared_ptr<const cuda::MemoryPool> memory, int threads, Limits limits)
      : networks_(networks), memory_(std::move(memory)), threads_(threads), limits_(limits) {}

  /// One for `kind` that no other run uses. Throws cuda::CudaError, Error(backend).
  std::unique_ptr<PlanStream> acquire(const BatchKind& kind);

  /// One with unfinished work is not kept.
  void release(std::unique_ptr<PlanStream> stream);

  /// Returns all idle memory to the device.
  void trim();

 private:
  using Streams = std::list<std::unique_ptr<PlanStream>>;

  std::unique_ptr<PlanStream> make(const BatchKind& kind) const;
  std::unique_ptr<PlanStream> make_where_memory_is_short(const BatchKind& kind);
  Streams beyond_limits();

  const Networks& networks_;
  std::shared_ptr<const cuda::MemoryPool> memory_;
  int threads_;
  Limits limits_;
  std::mutex mutex_;
  Streams idle_;           ///< the last used first
  std::size_t bytes_ = 0;  ///< of all plans, those in use too
  std::uint64_t acquisitions_ = 0;
};

/// The plans of one run.
class AcquiredPlans : public PlanSource {
 public:
  /// Their work waits for `ready`, an event on the caller's stream, unless it is nullptr.
  AcquiredPlans(StreamPool& pool, const cuda::Event* ready) : pool_(pool), ready_(ready) {}
  AcquiredPlans(const AcquiredPlans&) = delete;
  AcquiredPlans& operator=(const AcquiredPlans&) = delete;
  ~AcquiredPlans() override;

  ExecutionPlan& plan(const BatchKind& kind) override;

 private:
  void release();

  StreamPool& pool_;
  const cuda::Event* ready_;
  std::vector<std::unique_ptr<PlanStream>> streams_;
};

}  // namespace cardiacseg
