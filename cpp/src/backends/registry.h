#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backends/backend.h"
#include "cardiacseg/cardiac_segmenter.h"
#include "cardiacseg/options.h"

namespace cardiacseg {

/// A backend and the sentence that says why it was taken.
struct ChosenBackend {
  std::unique_ptr<Backend> backend;
  std::string device;
  std::string reason;
};

/// The first available backend for `options.device`; "auto" prefers a GPU. Throws Error(invalid_input) for a device
/// that is not "auto", "cpu" or "cuda", Error(backend) where none is available, saying why.
ChosenBackend choose_backend(const SegmenterOptions& options);

}  // namespace cardiacseg
