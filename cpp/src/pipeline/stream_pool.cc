#include "pipeline/stream_pool.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace cardiacseg {

/// Waits before pinned memory is freed, because copies may still use it, and again because the pool takes memory back
/// only when the stream has passed the release.
PlanStream::~PlanStream() {
  static_cast<void>(cudaStreamSynchronize(stream()));
  plan_.reset();
  static_cast<void>(cudaStreamSynchronize(stream()));
}

std::unique_ptr<PlanStream> StreamPool::acquire(const BatchKind& kind) {
  {
    const std::lock_guard lock(mutex_);
    ++acquisitions_;
    const auto known =
        std::find_if(idle_.begin(), idle_.end(), [&](const auto& stream) { return stream->plan().kind() == kind; });
    if (known != idle_.end()) {
      std::unique_ptr<PlanStream> found = std::move(*known);
      idle_.erase(known);
      found->last_acquired = acquisitions_;
      return found;
    }
  }
  std::unique_ptr<PlanStream> made = make_where_memory_is_short(kind);
  Streams dropped;
  const std::lock_guard lock(mutex_);
  made->last_acquired = acquisitions_;
  bytes_ += made->plan().bytes();
  dropped = beyond_limits();
  return made;
}

std::unique_ptr<PlanStream> StreamPool::make(const BatchKind& kind) const {
  return std::make_unique<PlanStream>(networks_, kind, make_device_space(memory_, threads_));
}

/// If the GPU has too little memory, all idle plans are dropped and it is tried again.
std::unique_ptr<PlanStream> StreamPool::make_where_memory_is_short(const BatchKind& kind) {
  try {
    return make(kind);
  } catch (const cuda::CudaError& error) {
    if (error.status() != cudaErrorMemoryAllocation) throw;
  }
  trim();
  return make(kind);
}

void StreamPool::release(std::unique_ptr<PlanStream> stream) {
  Streams dropped;  // which goes after the lock
  const std::lock_guard lock(mutex_);
  if (stream->plan().pending()) {
    bytes_ -= stream->plan().bytes();
    dropped.push_back(std::move(stream));
  } else {
    idle_.push_front(std::move(stream));
  }
  dropped.splice(dropped.end(), beyond_limits());
}

/// Takes out the idle ones that were used least recently, as far as the limits say.
StreamPool::Streams StreamPool::beyond_limits() {
  Streams dropped;
  const auto must_go = [this] {
    return bytes_ > limits_.bytes || idle_.size() > limits_.idle_plans ||
           idle_.back()->last_acquired + limits_.idle_acquisitions < acquisitions_;
  };
  while (!idle_.empty() && must_go()) {
    bytes_ -= idle_.back()->plan().bytes();
    dropped.splice(dropped.end(), idle_, std::prev(idle_.end()));
  }
  return dropped;
}

void StreamPool::trim() {
  Streams dropped;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& stream : idle_) bytes_ -= stream->plan().bytes();
    dropped.swap(idle_);
  }
  dropped.clear();
  memory_->trim();
}

AcquiredPlans::~AcquiredPlans() { release(); }

void AcquiredPlans::release() {
  for (std::unique_ptr<PlanStream>& stream : streams_) pool_.release(std::move(stream));
  streams_.clear();
}

ExecutionPlan& AcquiredPlans::plan(const BatchKind& kind) {
  for (const auto& stream : streams_) {
    if (stream->plan().kind() == kind) return stream->plan();
  }
  try {
    streams_.push_back(pool_.acquire(kind));
  } catch (const cuda::CudaError& error) {
    if (error.status() != cudaErrorMemoryAllocation || streams_.empty()) throw;
    release();
    streams_.push_back(pool_.acquire(kind));
  }
  if (ready_ != nullptr) ready_->make_wait(streams_.back()->stream());
  return streams_.back()->plan();
}

}  // namespace cardiacseg
