#pragma once

#include <pybind11/pybind11.h>

namespace cardiacseg::python {

/// For as long as it lives, a function runs that gives up the GIL; made and destroyed with the GIL. The interpreter
/// ends only when none is left in threads that nobody waits for: such a thread would else compute with what the end of
/// the process destroys, or be ended by Python in the middle of C++. Throws Error(cancelled) once the interpreter ends,
/// but for the thread that ends it.
class LongCall {
 public:
  LongCall();
  ~LongCall();
  LongCall(const LongCall&) = delete;
  LongCall& operator=(const LongCall&) = delete;

  /// Throws as the constructor does.
  static void require_running();
};

/// Has the interpreter wait for them when it ends.
void register_long_calls();

}  // namespace cardiacseg::python
