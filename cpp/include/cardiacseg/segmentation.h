#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cardiacseg/views.h"

namespace cardiacseg {

/// Wall time of one stage over all frames, in milliseconds; on a GPU, the time of the GPU.
struct StageTime {
  std::string stage;
  double milliseconds;
};

/// Backend, device, precision and model of a run, the reasons, and the times.
struct RunReport {
  std::string backend;            ///< for instance "openvino"
  std::string device;             ///< "cpu" or "cuda"
  std::string reason;             ///< one sentence: why this backend
  std::string precision;          ///< "fp32" or "bf16"; on a GPU that of the engines, "fp16" or "fp32"
  std::string precision_reason;   ///< one sentence: why this precision
  std::string model;              ///< name of the bundle's model
  std::string model_digest;       ///< SHA-256 of the bundle's manifest, which holds the digests of all other files
  std::string version;            ///< of this library
  std::vector<StageTime> stages;  ///< in order of running

  /// On a GPU, whether the run replayed CUDA graphs: "yes", or "no: " and why not. Empty on the CPU.
  std::string graph;

  bool temporal = false;              ///< whether presence was decided over all frames
  std::int64_t presence_changes = 0;  ///< decisions (frame, slice, structure) that differ from those of single frames
};

/// A reason to doubt the labels of a run.
struct RunWarning {
  std::string code;  ///< stable: "W_PIXEL_SIZE", "W_SPACING_ORDER" or "W_QUALITY"
  std::string text;  ///< one sentence
};

/// Result of a run. Arrays are in C order; those of three values hold RV, MYO, LV.
struct Segmentation {
  CineShape shape;

  /// `[frames, slices, rows, columns]`, on the input's grid; empty if they stayed in device memory.
  std::vector<std::uint8_t> labels;

  /// The same in device memory; nullptr unless RunOptions::device_labels was set. They are ready when `run` returns.
  std::shared_ptr<std::uint8_t> device_labels;
  int device_index = 0;  ///< of the GPU that holds `device_labels`

  /// `[frames, slices, 3]`: probability that a structure is in a slice, from the model's classifier. If the model has
  /// no classifier: 1 if the structure was labelled in the slice, else 0. If RunReport::temporal is set, it is the
  /// probability given the classifier's outputs for the slice in all frames.
  std::vector<float> presence;

  /// `[frames, slices, 4, rows, columns]`, or empty if RunOptions::probabilities was not set: probability of each label
  /// in each voxel, 0 for a structure that the classifier does not see in the slice; the four sum to 1. Outside the
  /// crop of the networks, background is 1. Calibrated with the model's temperature (Guo et al., On Calibration of
  /// Modern Neural Networks, ICML 2017) if it has one. Fragments are removed and holes filled only in the labels, so
  /// in such voxels the label need not be the most probable one.
  std::vector<float> probabilities;

  /// `[frames, 3]`: Dice between the labels of the model's first stage and those of its second, over the stack on the
  /// networks' grid; 1 if a structure is in neither. NaN for a single-stage model.
  std::vector<float> agreement;

  /// `[frames]`: predicted mean Dice of the labels, from 0 to 1, computed from the agreement. NaN if the model has only
  /// one stage or no rule for it.
  std::vector<float> quality;

  /// Reasons to doubt the labels: a pixel size that is unusual for human hearts, a spacing that looks like (x, y, z), a
  /// predicted quality below 0.5.
  std::vector<RunWarning> warnings;

  RunReport report;
};

}  // namespace cardiacseg
