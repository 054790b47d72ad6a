#pragma once

#include <cstdlib>
#include <fstream>
#include <mutex>
#include <string>

/// Options of the fake providers, and their log; both come from the environment.
namespace cardiacseg::tensorrt::fake {

/// Whether `what` is in the list $CARDIACSEG_FAKE, with commas between its words:
///   no_library        the inference library is missing
///   crashes           asking for the inference library's version ends the process by a signal
///   other_interface   made for another version of the interface
///   other_flavor      made for another flavor
///   weakly_typed      like TensorRT 8: precision is the builder's matter, ONNX up to opset 17
///   build_fails       every build fails
///   not_capturable    contexts say that they cannot be captured
///   breaks_capture    contexts say that they can be captured, and then do what a capture forbids
///   nan               outputs hold a NaN
///   unwritten         the last element of each output is not written
///   wrong_logits      logits come with the wrong sign
inline bool told_to(const std::string& what) {
  const char* list = std::getenv("CARDIACSEG_FAKE");
  return list != nullptr && (std::string(",") + list + ",").find("," + what + ",") != std::string::npos;
}

/// Appends a line to the file $CARDIACSEG_FAKE_LOG, if that is set.
inline void note(const std::string& line) {
  const char* path = std::getenv("CARDIACSEG_FAKE_LOG");
  if (path == nullptr || *path == '\0') return;
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  std::ofstream(path, std::ios::app) << line << "\n";
}

}  // namespace cardiacseg::tensorrt::fake
