#include "backends/process.h"

#if !defined(_WIN32)
#include <pthread.h>
#endif

#include <atomic>

#include "cardiacseg/error.h"

namespace cardiacseg {
namespace {

enum class State { unused, used, forked };
std::atomic<State> state{State::unused};

#if defined(_WIN32)
int watch_for_forks() { return 0; }  // there are none
#else
void note_fork() {
  State used = State::used;
  state.compare_exchange_strong(used, State::forked);
}

int watch_for_forks() { return pthread_atfork(nullptr, nullptr, note_fork); }
#endif

}  // namespace

void enter_process() {
  static const int watched = watch_for_forks();
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
