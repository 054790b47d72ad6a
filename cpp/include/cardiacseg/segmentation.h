#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cardiacseg/views.h"

namespace cardiacseg {

/// Wall time that a run spent in one stage, over all frames, in milliseconds; on a GPU, the GPU's.
struct StageTime {
  std::string stage;
  double milliseconds;
};

/// Which backend ran and why, how closely it computes, with which model, and how long it took.
struct RunReport {
  std::string backend;            ///< for instance "openvino"
  std::string device;             ///< "cpu" or "cuda"
  std::string reason;             ///< one sentence: why this backend
  std::string precision;          ///< "fp32" or "bf16"; on a GPU what the engines were built in, "fp16" or "fp32"
  std::string precision_reason;   ///< one sentence: why this precision
  std::string model;              ///< name of the bundle's model
  std::string model_digest;       ///< SHA-256 of the bundle's manifest, which holds the digests of all other files
  std::string version;            ///< of this library
  std::vector<StageTime> stages;  ///< in order of running

  /// On a GPU, whether the run replayed CUDA graphs: "yes", or "no: " and why not. Empty on the CPU.
  std::string graph;

  bool temporal = false;  ///< whether presence was decided over the beat
  std::int64_t presence_changes =
      0;  ///< by how many decisions (frame, slice, structure) that differs from each frame's own
};

/// Something that makes a run's labels doubtful, though not impossible.
struct RunWarning {
  std::string code;  ///< stable: "W_PIXEL_SIZE", "W_SPACING_ORDER" or "W_QUALITY"
  std::string text;  ///< one sentence
};

/// Result of a run. Arrays are in C order; those of three values hold RV, MYO, LV.
struct Segmentation {
  CineShape shape;

  /// `[frames, slices, rows, columns]`, the input's grid; empty where they stayed in device memory.
  std::vector<std::uint8_t> labels;

  /// The same in device memory, or nullptr unless RunOptions::device_labels was set. They are ready when `run` returns.
  std::shared_ptr<std::uint8_t> device_labels;
  int device_index = 0;  ///< of the GPU that holds `device_labels`

  /// `[frames, slices, 3]`: probability that a structure is in a slice, from the model's classifier; of a model without
  /// one, 1 where the structure was labelled and 0 elsewhere. If RunReport::temporal is set, it is the probability
  /// given what the classifier says of the slice in all frames.
  std::vector<float> presence;

  /// `[frames, slices, 4, rows, columns]`, or empty where RunOptions::probabilities was not set: probability of each
  /// label in each voxel, 0 for a structure that the classifier does not see in the slice; the four sum to 1. Outside
  /// of the part of the image that the networks saw, background is 1. Calibrated with the model's temperature (Guo et
  /// al., On Calibration of Modern Neural Networks, ICML 2017) where it has one. They are those before the labels'
  /// clean-up, so that where a label was cleaned away it need not be the most probable.
  std::vector<float> probabilities;

  /// `[frames, 3]`: Dice between the labels of the model's first stage and those of its second, over the stack on the
  /// networks' grid; 1 where a structure is in neither. NaN for a single-stage model.
  std::vector<float> agreement;

  /// `[frames]`: mean Dice that the model expects of its labels, from 0 to 1, predicted from the agreement. NaN where
  /// the model has one stage or no rule for it.
  std::vector<float> quality;

  /// What speaks against the labels: pixels of a size at which no human heart is imaged, a spacing that looks like
  /// (x, y, z), a predicted quality below 0.5.
  std::vector<RunWarning> warnings;

  RunReport report;
};

}  // namespace cardiacseg
