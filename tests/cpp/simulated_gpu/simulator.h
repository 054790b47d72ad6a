#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>

/// A GPU on the CPU, for tests: every CUDA thread is a fibre, the threads of a warp meet in warp-wide operations, those
/// of a CTA in barriers. CTAs run one after another, those of even number from their first thread on, the others from
/// their last, so that what hangs on an order that nothing enforces does not go unseen. Shared memory holds NaNs at a
/// CTA's start. A barrier that part of a CTA or of a warp does not reach, or that they reach in different operations,
/// ends the program with a sentence. Under ThreadSanitizer accesses of two threads of a CTA to the same memory are a
/// race unless a barrier lies between them or both are atomic, as for compute-sanitizer's racecheck.
namespace simulated_gpu {

constexpr unsigned kLanes = 32;

struct Index {
  unsigned x = 1;
  unsigned y = 1;
  unsigned z = 1;
};

/// Those of the thread that runs.
inline Index threadIdx;
inline Index blockIdx;
inline Index blockDim;
inline Index gridDim;

unsigned lane();
unsigned long long block_number();  ///< of all CTAs that ever ran
unsigned thread_number();           ///< in its CTA
bool copies_are_late();             ///< whether asynchronous copies in this CTA happen when they are waited for

/// Runs `kernel` once in every thread of the grid.
void run_grid(Index grid, Index block, const std::function<void()>& kernel);

/// What each lane of a warp brought to an operation; lanes that have ended are absent.
struct Meeting {
  static constexpr std::size_t kBytes = 64;
  unsigned present = 0;
  alignas(16) std::array<std::array<std::byte, kBytes>, kLanes> values{};

  template <class T>
  T of(unsigned lane) const {
    T value;
    std::memcpy(&value, values[lane].data(), sizeof value);
    return value;
  }
};

/// Waits until every lane that is left of this warp is here with the same `operation`, then gives what they brought.
const Meeting& meet_warp(const char* operation, const void* value, std::size_t bytes);

template <class T>
const Meeting& meet_warp(const char* operation, const T& value) {
  static_assert(sizeof(T) <= Meeting::kBytes);
  return meet_warp(operation, &value, sizeof value);
}

/// Waits until every lane that is left of this warp is here, and orders their memory accesses as other meetings do not.
void synchronize_warp();

/// Waits until every thread that is left of this CTA is here; gives whether any of them brought `true`.
bool meet_block(bool vote);

}  // namespace simulated_gpu
