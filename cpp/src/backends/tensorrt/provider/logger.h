#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "backends/tensorrt/provider/tensorrt.h"

namespace cardiacseg::tensorrt {

/// Keeps the latest errors of TensorRT, from all threads, and prints nothing. (An IErrorRecorder would get the same
/// words, cut off after 127 characters.)
class Logger final : public nvinfer1::ILogger {
 public:
  void log(Severity severity, const char* text) noexcept override;

  /// Keeps a message of ours, which says more about a failure than TensorRT's own.
  void note(const std::string& text) noexcept { keep(text, true); }

  std::uint64_t count() const;

  /// The errors after the first `count`, in one line: our own, else those of this thread, else all.
  std::string since(std::uint64_t count) const;

 private:
  struct Line {
    std::uint64_t number;
    std::thread::id thread;
    bool ours;
    std::string text;
  };
  void keep(const std::string& text, bool ours) noexcept;
  mutable std::mutex mutex_;
  std::deque<Line> lines_;
  std::uint64_t count_ = 0;
};

/// The process has one, which outlives whatever TensorRT makes.
Logger& logger();

/// One request to TensorRT; if it fails, the error has the messages of TensorRT since this object was made.
class Attempt {
 public:
  /// `what` completes "TensorRT ... ": "cannot read the engine seg".
  explicit Attempt(std::string what) : what_(std::move(what)), before_(logger().count()) {}

  /// Gives `result` back. Throws Error(backend) if it is false or null.
  template <class Result>
  Result expect(Result result) const {
    if (!result) fail();
    return result;
  }

  /// Whether TensorRT has logged no error since.
  bool silent() const { return logger().since(before_).empty(); }

  [[noreturn]] void fail() const;

 private:
  std::string what_;
  std::uint64_t before_;
};

}  // namespace cardiacseg::tensorrt
