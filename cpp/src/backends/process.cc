#include "backends/process.h"

#include <pthread.h>

#include <atomic>

#include "cardiacseg/error.h"

namespace cardiacseg {
namespace {

enum class State { unused, used, forked };
std::atomic<State> state{State::unused};

void note_fork() {
  State used = State::used;
  state.compare_exchange_strong(used, State::forked);
}

}  // namespace

void enter_process() {
  static const int watched = pthread_atfork(nullptr, nullptr, note_fork);
  if (watched != 0) throw Error(ErrorCode::backend, "the system has no memory left to watch for forks of this process");
  if (forked_away()) {
    throw Error(
        ErrorCode::backend,
        "this process was forked from one that had already used cardiacseg, whose inference threads are not in "
        "it: start processes with the \"spawn\" or \"forkserver\" method of multiprocessing, or fork before the "
        "first use of cardiacseg");
  }
  State unused = State::unused;
  state.compare_exchange_strong(unused, State::used);
}

bool forked_away() noexcept { return state == State::forked; }

}  // namespace cardiacseg
