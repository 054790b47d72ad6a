#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cardiacseg/views.h"

namespace cardiacseg {

/// Wall time that a run spent in one stage, over all frames, in milliseconds.
struct StageTime {
  std::string stage;
  double milliseconds;
};

/// Which backend ran and why, with which model, and how long it took.
struct RunReport {
  std::string backend;            ///< for instance "openvino"
  std::string device;             ///< "cpu" or "cuda"
  std::string reason;             ///< one sentence: why this backend
  std::string model;              ///< name of the bundle's model
  std::string model_digest;       ///< SHA-256 of the bundle's manifest, which holds the digests of all other files
  std::string version;            ///< of this library
  std::vector<StageTime> stages;  ///< in order of running
};

/// Result of a run. `labels` lies on the input's grid, `[frames, slices, rows, columns]`;
/// `presence` is `[frames, slices, 3]`: p(RV), p(MYO), p(LV).
struct Segmentation {
  CineShape shape;
  std::vector<std::uint8_t> labels;
  std::vector<float> presence;
  RunReport report;
};

}  // namespace cardiacseg
