#include "pipeline/device_lane.h"

#include <algorithm>
#include <utility>

namespace cardiacseg {
namespace {

/// Programs that stay ready: a protocol has one field of view and few numbers of slices, and a cine's last group is
/// smaller than the others.
constexpr std::size_t kPrograms = 4;

}  // namespace

DeviceLane::~DeviceLane() {
  // No memory may go before what is still on the stream is through, also where a run broke off.
  static_cast<void>(cudaStreamSynchronize(stream_.get()));
}

DeviceProgram& DeviceLane::program(const ProgramKey& key) {
  const auto known =
      std::find_if(recent_.begin(), recent_.end(), [&](const DeviceProgram& program) { return program.key() == key; });
  if (known != recent_.end()) {
    recent_.splice(recent_.begin(), recent_, known);
    return recent_.front();
  }
  if (recent_.size() == kPrograms) recent_.pop_back();
  try {
    return recent_.emplace_front(stages_, key, stream_.get());
  } catch (const cuda::CudaError& error) {
    if (error.status() != cudaErrorMemoryAllocation || recent_.empty()) throw;
    recent_.clear();
    return recent_.emplace_front(stages_, key, stream_.get());
  }
}

const DeviceProgram& DeviceLane::run(const ProgramKey& key, const CineView& cine, std::int64_t first, int threads,
                                     std::uint8_t* device_labels) {
  DeviceProgram& ready = program(key);
  healthy_ = false;
  ready.run(cine, first, threads, device_labels);
  healthy_ = true;
  return ready;
}

const DeviceProgram& DeviceLane::gate(std::span<const float> presence, std::uint8_t* device_labels) {
  healthy_ = false;
  recent_.front().gate(presence, device_labels);
  healthy_ = true;
  return recent_.front();
}

void DeviceLane::wait_for(cudaStream_t stream) {
  ready_.record(stream);
  ready_.hold(stream_.get());
}

std::unique_ptr<DeviceLane> DeviceLanes::take() {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      std::unique_ptr<DeviceLane> lane = std::move(idle_.back());
      idle_.pop_back();
      return lane;
    }
  }
  return std::make_unique<DeviceLane>(stages_);
}

DeviceLanes::Loan::~Loan() {
  if (!lane->healthy()) return;
  const std::lock_guard lock(lanes.mutex_);
  lanes.idle_.push_back(std::move(lane));
}

}  // namespace cardiacseg
