#include "simulator.h"

#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(SIMULATED_GPU_FINDS_RACES)
#include <sanitizer/tsan_interface.h>
extern "C" void AnnotateIgnoreWritesBegin(const char* file, int line);
extern "C" void AnnotateIgnoreWritesEnd(const char* file, int line);
#endif

// The linker's names for the ends of the section that holds all `__shared__` variables.
extern "C" {
__attribute__((weak)) extern std::byte __start_simulated_shared[];
__attribute__((weak)) extern std::byte __stop_simulated_shared[];
}

namespace simulated_gpu {
namespace {

constexpr std::size_t kStackBytes = 256 * 1024;

[[noreturn]] void fail(const char* what) {
  std::fflush(stdout);
  std::fprintf(stderr, "simulated GPU: %s\n", what);
  std::abort();
}

struct Warp {
  unsigned alive = 0;
  unsigned arrived = 0;
  unsigned completed = 0;  ///< meetings so far
  const char* operation = nullptr;
  std::array<Meeting, 2> meetings;  ///< one is read while the next one fills
};

struct Thread {
  Index index;
  Warp* warp = nullptr;
  unsigned lane = 0;
  unsigned meetings = 0;
  unsigned barriers = 0;
  bool started = false;
  bool ended = false;
  jmp_buf place;
  std::unique_ptr<std::byte[]> stack;
  void* watched = nullptr;  ///< what ThreadSanitizer knows it by
};

/// The CTA that runs.
struct Block {
  const std::function<void()>* kernel = nullptr;
  std::vector<Thread> threads;
  std::vector<Warp> warps;
  unsigned alive = 0;
  unsigned arrived = 0;
  unsigned completed = 0;
  std::array<bool, 2> any{};  ///< vote of a barrier; one is read while the next one fills
  unsigned long long progress = 0;
  unsigned long long number = 1;  ///< of this CTA among all that ever ran
};

Block block;
Thread* current = nullptr;
jmp_buf scheduler;

bool backwards() { return block.number % 2 != 0; }

#if defined(__SANITIZE_ADDRESS__)
void* scheduler_fake_stack = nullptr;
const void* scheduler_stack = nullptr;
std::size_t scheduler_stack_bytes = 0;
void leave(void** fake, const void* stack, std::size_t bytes) { __sanitizer_start_switch_fiber(fake, stack, bytes); }
void arrive(void* fake, const void** stack, std::size_t* bytes) { __sanitizer_finish_switch_fiber(fake, stack, bytes); }
#else
void* scheduler_fake_stack = nullptr;
const void* scheduler_stack = nullptr;
std::size_t scheduler_stack_bytes = 0;
void leave(void**, const void*, std::size_t) {}
void arrive(void*, const void**, std::size_t*) {}
#endif

#if defined(SIMULATED_GPU_FINDS_RACES)
// ThreadSanitizer takes each thread for one of its own. That they take turns orders nothing: what a thread did before
// `give(place)` is before what another does after `take(place)`, and no more.
void* watched_scheduler = nullptr;
void give(void* place) { __tsan_release(place); }
void take(void* place) { __tsan_acquire(place); }
void watch(Thread& thread) {
  watched_scheduler = __tsan_get_current_fiber();
  if (thread.watched == nullptr) thread.watched = __tsan_create_fiber(0);
}
void turn_to(void* watched) { __tsan_switch_to_fiber(watched, __tsan_switch_to_fiber_no_sync); }
void copy_unwatched(void* to, const void* from, std::size_t bytes) {
  AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
  std::memcpy(to, from, bytes);
  AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
}
#else
void* watched_scheduler = nullptr;
void give(void*) {}
void take(void*) {}
void watch(Thread&) {}
void turn_to(void*) {}
void copy_unwatched(void* to, const void* from, std::size_t bytes) { std::memcpy(to, from, bytes); }
#endif

/// Back to the scheduler, until it is this thread's turn again.
void yield() {
  Thread* self = current;
  void* fake = nullptr;
  if (_setjmp(self->place) == 0) {
    leave(&fake, scheduler_stack, scheduler_stack_bytes);
    turn_to(watched_scheduler);
    _longjmp(scheduler, 1);
  }
  arrive(fake, &scheduler_stack, &scheduler_stack_bytes);
}

void complete(Warp& warp) {
  warp.arrived = 0;
  ++warp.completed;
  warp.meetings[warp.completed % 2].present = 0;
}

void complete_barrier() {
  block.arrived = 0;
  ++block.completed;
  block.any[block.completed % 2] = false;
}

void end(Thread& thread) {
  thread.ended = true;
  ++block.progress;
  if (--thread.warp->alive > 0 && thread.warp->arrived == thread.warp->alive) complete(*thread.warp);
  if (--block.alive > 0 && block.arrived == block.alive) complete_barrier();
}

/// What a fibre does: one kernel after another, as the thread of the same number in each CTA.
void live() {
  arrive(nullptr, &scheduler_stack, &scheduler_stack_bytes);
  while (true) {
    take(&block.kernel);
    (*block.kernel)();
    give(&block.alive);
    end(*current);
    yield();
  }
}

void start(Thread& thread) {
  thread.started = true;
  static ucontext_t context;  // not on the stack, which is left without a return
  getcontext(&context);
  context.uc_stack.ss_sp = thread.stack.get();
  context.uc_stack.ss_size = kStackBytes;
  context.uc_link = nullptr;
  makecontext(&context, live, 0);
  setcontext(&context);
}

/// Lets `thread` run until it waits or ends.
void resume(Thread& thread) {
  current = &thread;
  threadIdx = thread.index;
  if (_setjmp(scheduler) == 0) {
    leave(&scheduler_fake_stack, thread.stack.get(), kStackBytes);
    turn_to(thread.watched);
    if (thread.started) _longjmp(thread.place, 1);
    start(thread);
  }
  arrive(scheduler_fake_stack, nullptr, nullptr);
}

#if defined(__SANITIZE_ADDRESS__)
__attribute__((no_sanitize("address")))
#endif
void spoil_shared_memory() {
  if (__start_simulated_shared == nullptr) return;
  volatile std::byte* end = __stop_simulated_shared;
  for (volatile std::byte* byte = __start_simulated_shared; byte != end; byte = byte + 1) *byte = std::byte{0xFF};
}

void prepare(unsigned count) {
  block.warps.assign((count + kLanes - 1) / kLanes, Warp{});
  if (block.threads.size() < count) block.threads.resize(count);
  for (unsigned number = 0; number < count; ++number) {
    Thread& thread = block.threads[number];
    if (!thread.stack) thread.stack = std::make_unique<std::byte[]>(kStackBytes);
    watch(thread);
    thread.index = {number % blockDim.x, number / blockDim.x % blockDim.y, number / blockDim.x / blockDim.y};
    thread.warp = &block.warps[number / kLanes];
    thread.lane = number % kLanes;
    thread.meetings = thread.barriers = 0;
    thread.ended = false;
    ++thread.warp->alive;
  }
  block.alive = count;
  block.arrived = block.completed = 0;
  block.any = {};
}

/// Number `turn` of `count`, from the first on or from the last.
unsigned in_order(unsigned turn, unsigned count) { return backwards() ? count - 1 - turn : turn; }

/// Runs a warp until all that is left of it waits for other warps.
void run_warp(unsigned warp, unsigned count) {
  const unsigned first = warp * kLanes;
  const unsigned lanes = std::min(kLanes, count - first);
  for (unsigned long long before = block.progress - 1; block.progress != before;) {
    before = block.progress;
    for (unsigned turn = 0; turn < lanes; ++turn) {
      Thread& thread = block.threads[first + in_order(turn, lanes)];
      if (!thread.ended) resume(thread);
    }
  }
}

void run_block(unsigned count) {
  prepare(count);
  spoil_shared_memory();
  give(&block.kernel);
  const auto warps = static_cast<unsigned>(block.warps.size());
  while (block.alive > 0) {
    const unsigned long long before = block.progress;
    for (unsigned turn = 0; turn < warps; ++turn) run_warp(in_order(turn, warps), count);
    if (block.progress == before) fail("threads wait for others that never come");
  }
  take(&block.alive);
}

void check_limits(const Index& grid, const Index& size) {
  if (grid.x < 1 || grid.y < 1 || grid.z < 1 || grid.x > 0x7FFFFFFFU || grid.y > 65535 || grid.z > 65535) {
    fail("expected a grid of 1 to 2147483647 x 65535 x 65535 CTAs");
  }
  if (size.x < 1 || size.y < 1 || size.z < 1 || size.x * size.y * size.z > 1024 || size.z > 64) {
    fail("expected a CTA of 1 to 1024 threads");
  }
}

}  // namespace

unsigned lane() { return current->lane; }
unsigned long long block_number() { return block.number; }
bool copies_are_late() { return block.number / 2 % 2 != 0; }
unsigned thread_number() { return static_cast<unsigned>(current - block.threads.data()); }

const Meeting& meet_warp(const char* operation, const void* value, std::size_t bytes) {
  Thread& self = *current;
  Warp& warp = *self.warp;
  const unsigned number = self.meetings++;
  if (warp.arrived == 0) warp.operation = operation;
  if (std::strcmp(warp.operation, operation) != 0) fail("lanes of a warp met in different operations");
  Meeting& meeting = warp.meetings[number % 2];
  copy_unwatched(meeting.values[self.lane].data(), value, bytes);
  meeting.present |= 1U << self.lane;
  ++block.progress;
  if (++warp.arrived == warp.alive) complete(warp);
  while (warp.completed == number) yield();
  return meeting;
}

void synchronize_warp() {
  void* meeting = &current->warp->meetings[current->meetings % 2];
  give(meeting);
  meet_warp("syncwarp", 0);
  take(meeting);
}

bool meet_block(bool vote) {
  const unsigned number = current->barriers++;
  bool& any = block.any[number % 2];
  any = any || vote;
  ++block.progress;
  give(&any);
  if (++block.arrived == block.alive) complete_barrier();
  while (block.completed == number) yield();
  take(&any);
  return any;
}

void run_grid(Index grid, Index size, const std::function<void()>& kernel) {
  check_limits(grid, size);
  static std::mutex one_at_a_time;
  const std::lock_guard lock(one_at_a_time);
  block.kernel = &kernel;
  blockDim = size;
  gridDim = grid;
  for (unsigned z = 0; z < grid.z; ++z) {
    for (unsigned y = 0; y < grid.y; ++y) {
      for (unsigned x = 0; x < grid.x; ++x) {
        blockIdx = {x, y, z};
        run_block(size.x * size.y * size.z);
        ++block.number;
      }
    }
  }
}

}  // namespace simulated_gpu
