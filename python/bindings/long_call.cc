#include "long_call.h"

#include <atomic>
#include <chrono>
#include <optional>
#include <thread>

#include "cardiacseg/error.h"

namespace py = pybind11;

namespace cardiacseg::python {
namespace {

using Clock = std::chrono::steady_clock;

/// A progress function may wait for something for ever; then the end does not.
constexpr std::chrono::seconds kPatience{60};
constexpr std::chrono::milliseconds kPause{5};

std::atomic<int> running{0};
std::optional<std::thread::id> ending;  ///< the thread that ends the interpreter; with the GIL

void wait_for_calls() {
  ending = std::this_thread::get_id();
  const Clock::time_point last = Clock::now() + kPatience;
  while (running > 0 && Clock::now() < last) {
    const py::gil_scoped_release release;
    std::this_thread::sleep_for(kPause);
  }
}

}  // namespace

LongCall::LongCall() {
  require_running();
  ++running;
}

LongCall::~LongCall() { --running; }

void LongCall::require_running() {
  if (ending && *ending != std::this_thread::get_id()) {
    throw Error(ErrorCode::cancelled, "the call was stopped, as the interpreter ends");
  }
}

void register_long_calls() {
  py::module_::import("atexit").attr("register")(py::cpp_function(wait_for_calls));
  // The parent's threads, which the count is of, are not in the child.
  py::module_::import("os").attr("register_at_fork")(py::arg("after_in_child") = py::cpp_function([] { running = 0; }));
}

}  // namespace cardiacseg::python
