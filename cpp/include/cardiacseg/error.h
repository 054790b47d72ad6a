#pragma once

#include <stdexcept>
#include <string>

namespace cardiacseg {

/// What kind of thing went wrong. Values are stable; new ones are appended.
enum class ErrorCode {
  invalid_input = 1,  ///< an image, a spacing or an option that cannot be used
  not_found = 2,      ///< a bundle or a file of it that is not there
  bad_bundle = 3,     ///< a bundle that is truncated, altered, of a newer format, or leaves its folder
  backend = 4,        ///< an unknown or unavailable device, or a failure inside the inference library
  cancelled = 5,      ///< a function of the caller's, progress or keep_going, asked to stop
};

/// Everything that this library throws. `what()` is one sentence: what was wanted, what came, where.
class [[gnu::visibility("default")]] Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}

  ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

}  // namespace cardiacseg
