#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace cardiacseg {

/// Options of a segmenter, fixed when it is made.
struct SegmenterOptions {
  /// "auto", "cpu", "cuda" (the current GPU of the thread that makes the segmenter) or "cuda:N" (GPU N, from 0).
  std::string device = "auto";
  int threads = 0;  ///< most threads of inference; 0: all cores. Labels do not depend on it.

  /// "auto", "fp32" or "bf16". On the CPU, "auto" is bf16 if the CPU computes in it natively and the bundle's manifest
  /// records that it passed the parity gate in bf16, else fp32. On a GPU it is the precision of the engines; "fp32"
  /// uses only engines in fp32, and no engine computes in bf16.
  std::string precision = "auto";

  /// Folder of the engines for the GPU. Empty: $CARDIACSEG_ENGINES, $XDG_CACHE_HOME/cardiacseg/engines or
  /// ~/.cache/cardiacseg/engines, the first that is set.
  std::filesystem::path engines;

  /// Folder that keeps networks compiled on the CPU, so that later processes start faster; labels do not depend on it.
  /// "off": none are kept. Empty: $CARDIACSEG_CACHE, $XDG_CACHE_HOME/cardiacseg/networks or
  /// ~/.cache/cardiacseg/networks, the first that is set. A folder that cannot be used is not an error.
  std::filesystem::path cache = {};
};

/// Options of one run.
struct RunOptions {
  /// Whether to fill Segmentation::probabilities, 16 bytes for each voxel. Labels do not depend on it.
  bool probabilities = false;

  /// "auto": in a cine of 6 or more frames, presence is decided over all frames (Segmentation::presence). "off": in
  /// each frame alone. Any other value throws Error(invalid_input).
  std::string temporal = "auto";

  /// Called with frames done and frames in total, first with 0 and last with all, from the thread that called `run`.
  /// While frames are labelled again because temporal presence changed a decision, the number stays the same.
  /// Returning false stops the run with ErrorCode::cancelled.
  std::function<bool(std::int64_t done, std::int64_t total)> progress = {};

  /// Called about 20 times a second while a network runs on the CPU, and after each frame batch on a GPU, from the
  /// thread that called `run`. Returning false stops the run with ErrorCode::cancelled, also within a frame. Without
  /// this function, networks run in the caller's own thread.
  std::function<bool()> keep_going = {};

  /// Whether the labels stay in GPU memory, as Segmentation::device_labels. On the CPU this throws.
  bool device_labels = false;

  /// For an image in device memory: the CUDA stream (a cudaStream_t) on which it becomes ready; nullptr is CUDA's
  /// default stream. The run waits on the GPU for the work that is on this stream now; the caller's thread does not
  /// wait.
  void* stream = nullptr;
};

}  // namespace cardiacseg
