#pragma once

#include <stdexcept>
#include <string>

namespace cardiacseg {

/// Kind of an error. Values are stable; new ones are appended.
enum class ErrorCode {
  invalid_input = 1,  ///< an image, a spacing or an option is invalid
  not_found = 2,      ///< a bundle or a file of it is missing
  bad_bundle = 3,     ///< a bundle is truncated, altered, of a newer format, or leaves its folder
  backend = 4,        ///< the device is unknown or unavailable, or the inference library failed
  cancelled = 5,      ///< a function of the caller (progress, keep_going) asked to stop
};

/// The exception of this library. `what()` is one sentence: what was expected, what was got, where.
class [[gnu::visibility("default")]] Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}

  ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

}  // namespace cardiacseg
