#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace cardiacseg {

/// Decided once, when a segmenter is made.
struct SegmenterOptions {
  /// "auto", "cpu", "cuda" (the GPU that the thread uses which makes the segmenter) or "cuda:N" (GPU N, from 0).
  std::string device = "auto";
  int threads = 0;  ///< threads that inference may use; 0: all cores. Labels do not depend on it.

  /// "auto", "fp32" or "bf16". On the CPU, "auto" is bf16 if the CPU computes in it natively and the bundle's manifest
  /// records that it passed the parity gate in it, else fp32. On a GPU it is what the engines were built in; "fp32"
  /// takes engines in fp32 alone, and none compute in bf16.
  std::string precision = "auto";

  /// Folder of the engines that a GPU runs. Empty: $CARDIACSEG_ENGINES, $XDG_CACHE_HOME/cardiacseg/engines or
  /// ~/.cache/cardiacseg/engines, the first that is set.
  std::filesystem::path engines;

  /// Folder where networks that were compiled on the CPU are kept for later processes, which then start in less time;
  /// labels do not depend on it. "off": none are kept. Empty: $CARDIACSEG_CACHE, $XDG_CACHE_HOME/cardiacseg/networks or
  /// ~/.cache/cardiacseg/networks, the first that is set. A folder that cannot be used is no error.
  std::filesystem::path cache = {};
};

/// Decided anew for each run.
struct RunOptions {
  /// Whether to fill Segmentation::probabilities, 16 bytes for each voxel. Labels do not depend on it.
  bool probabilities = false;

  /// "auto": in a cine of 6 or more frames, presence is decided over the beat (Segmentation::presence). "off": in each
  /// frame alone. Anything else is refused with ErrorCode::invalid_input.
  std::string temporal = "auto";

  /// Called with frames done and frames in total, first with 0 and last with all, from the thread that called `run`.
  /// While frames are labelled again, because presence over the beat differs from theirs, the number stays the same.
  /// Returning false stops the run with ErrorCode::cancelled.
  std::function<bool(std::int64_t done, std::int64_t total)> progress = {};

  /// Asked about 20 times a second while a network runs on the CPU, and after each group of frames on a GPU, from the
  /// thread that called `run`. Returning false stops the run with ErrorCode::cancelled, also within a frame. Without
  /// it, networks run in the caller's own thread.
  std::function<bool()> keep_going = {};

  /// Whether the labels stay in the GPU's memory, as Segmentation::device_labels. On the CPU that is refused.
  bool device_labels = false;

  /// For an image in device memory: the CUDA stream (a cudaStream_t) on which it becomes ready; nullptr is CUDA's
  /// default stream. The run waits for what is on it now, without holding up the caller's thread for that.
  void* stream = nullptr;
};

}  // namespace cardiacseg
