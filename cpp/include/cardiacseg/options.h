#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace cardiacseg {

/// Decided once, when a segmenter is made.
struct SegmenterOptions {
  std::string device = "auto";  ///< "auto", "cpu" or "cuda"
  int threads = 0;              ///< threads that inference may use; 0: all cores. Labels do not depend on it.
};

/// Decided anew for each run.
struct RunOptions {
  /// Whether to fill Segmentation::probabilities, 16 bytes for each voxel. Labels do not depend on it.
  bool probabilities = false;

  /// Called with frames done and frames in total, first with 0, from the thread that called `run`.
  /// Returning false stops the run with ErrorCode::cancelled.
  std::function<bool(std::int64_t done, std::int64_t total)> progress;
};

}  // namespace cardiacseg
