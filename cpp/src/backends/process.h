#pragma once

namespace cardiacseg {

/// Notes that this process uses an inference library. Throws Error(backend) in a process that was forked from one which
/// did: the library's threads are in the parent alone, so that it would run slowly, wait for ever or crash.
void enter_process();

/// Whether `enter_process` would throw. What belongs to an inference library must then be left as it is, as to free it
/// is to wait for its threads.
bool forked_away() noexcept;

}  // namespace cardiacseg
