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

/// A backend, what it computes in, and the sentences that say why.
struct ChosenBackend {
  /// Keeps this thread on the GPU that was asked for by number; to be kept until the networks are loaded.
  std::shared_ptr<const void> gpu = {};

  std::unique_ptr<Backend> backend;
  std::string device;
  std::string reason;
  std::string precision;  ///< as RunReport has it
  std::string precision_reason;

  MakeHostBackend make_host_backend;

  /// The bundle's networks on a GPU, if they are loaded; loading them again while these live costs little.
  std::vector<std::unique_ptr<DeviceNetwork>> loaded;
};

/// Reads the bundle, each time from memory but the first.
using ReadBundle = std::function<const Bundle&()>;

/// Whether engines are loaded, which shows that the GPU runs them, or looked for by the headers of their files.
enum class Engines { loaded, looked_for };

/// The first backend for `options.device` that can run the networks of `bundle` in `options.precision`. `bundle` is
/// read if a GPU's engines are to be looked for, or if its manifest decides on the precision. "auto" takes a GPU
/// if all of it is there and the engines are verified on it, else the CPU; "cuda" and "cuda:N" take engines that are
/// not verified too. Throws Error(invalid_input) for another device or a precision that is not "auto", "fp32" or
/// "bf16", Error(backend) if none is available, saying why and what to do next, and what `bundle` throws.
ChosenBackend choose_backend(const SegmenterOptions& options, const ReadBundle& bundle, Engines engines);

}  // namespace cardiacseg
