#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "cuda/event.h"
#include "cuda/stream.h"
#include "pipeline/device_program.h"

namespace cardiacseg {

/// A stream and the programs that were run on it last. For one thread at a time.
class DeviceLane {
 public:
  /// `stages` must outlive it. Throws cuda::CudaError.
  explicit DeviceLane(const DeviceStages& stages) : stages_(stages) {}
  DeviceLane(const DeviceLane&) = delete;
  DeviceLane& operator=(const DeviceLane&) = delete;
  ~DeviceLane();

  /// Runs the program for `key`, made if there is none in the place of the one used least recently, as
  /// DeviceProgram::run does. Throws cuda::CudaError, Error(backend).
  const DeviceProgram& run(const ProgramKey& key, const CineView& cine, std::int64_t first, int threads,
                           std::uint8_t* device_labels);

  /// The program that ran last, after DeviceProgram::gate.
  const DeviceProgram& gate(std::span<const float> presence, std::uint8_t* device_labels);

  /// Lets what comes wait until a caller's `stream` is done with what is on it now.
  void wait_for(cudaStream_t stream);

  /// Whether no run broke off.
  bool healthy() const { return healthy_; }

 private:
  DeviceProgram& program(const ProgramKey& key);

  const DeviceStages& stages_;
  cuda::Stream stream_;
  cuda::Event ready_;
  std::list<DeviceProgram> recent_;
  bool healthy_ = true;
};

/// Lanes for as many runs as there are at the same time.
class DeviceLanes {
 public:
  explicit DeviceLanes(const DeviceStages& stages) : stages_(stages) {}

  /// Calls `work` with a lane that nobody else has. One on which something went wrong is not used again.
  template <class Work>
  void with_lane(const Work& work) {
    const Loan loan{*this, take()};
    work(*loan.lane);
  }

 private:
  struct Loan {
    DeviceLanes& lanes;
    std::unique_ptr<DeviceLane> lane;

    Loan(DeviceLanes& from, std::unique_ptr<DeviceLane> taken) : lanes(from), lane(std::move(taken)) {}
    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;
    ~Loan();
  };

  std::unique_ptr<DeviceLane> take();

  const DeviceStages& stages_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<DeviceLane>> idle_;
};

}  // namespace cardiacseg
