#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backends/backend.h"
#include "bundle/bundle.h"
#include "cardiacseg/cardiac_segmenter.h"
#include "cardiacseg/options.h"

namespace cardiacseg {

/// A backend and the sentence that says why it was taken.
struct ChosenBackend {
  std::unique_ptr<Backend> backend;
  std::string device;
  std::string reason;

  /// Makes the backend on the CPU, whose results are the reference. Throws Error(backend).
  std::function<std::unique_ptr<Backend>()> make_reference;

  /// The bundle's networks, where they had to be loaded to know; loading them again while these live costs little.
  std::vector<std::unique_ptr<DeviceNetwork>> loaded;
};

/// Reads the bundle, each time from memory but the first.
using ReadBundle = std::function<const Bundle&()>;

/// The first backend for `options.device` that can run the networks of `bundle`, which is read only where a GPU's
/// engines are to be looked for. "auto" takes a GPU where all of it is there and the engines are verified on it, else
/// the CPU; "cuda" takes engines that are not verified too. Throws Error(invalid_input) for a device that is not
/// "auto", "cpu" or "cuda", Error(backend) where none is available, saying why, and what `bundle` throws.
ChosenBackend choose_backend(const SegmenterOptions& options, const ReadBundle& bundle);

}  // namespace cardiacseg
