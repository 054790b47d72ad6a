#pragma once

#include <memory>

#include "backends/backend.h"
#include "bundle/bundle.h"
#include "cardiacseg/options.h"
#include "cardiacseg/segmentation.h"
#include "cardiacseg/views.h"
#include "pipeline/frame_group.h"

namespace cardiacseg {

/// The order of things: check everything, then group after group of frames. Const and thread-safe.
class Pipeline {
 public:
  /// Loads the bundle's networks into `backend`. `threads` is the most that the operations before and after the
  /// networks use; 0: all cores. Throws Error(backend).
  Pipeline(const Bundle& bundle, std::unique_ptr<const Backend> backend, int threads);

  /// Segments every frame; of the result's report it fills the stages alone. Throws as CardiacSegmenter::run does.
  Segmentation run(const CineView& cine, const RunOptions& options) const;

 private:
  std::unique_ptr<const Backend> backend_;
  Stages stages_;
};

}  // namespace cardiacseg
