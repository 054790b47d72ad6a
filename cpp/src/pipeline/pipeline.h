#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "backends/backend.h"
#include "bundle/bundle.h"
#include "cardiacseg/options.h"
#include "cardiacseg/parity.h"
#include "cardiacseg/segmentation.h"
#include "cardiacseg/views.h"

namespace cardiacseg {

/// From pixels to labels. Const and thread-safe.
class Pipeline {
 public:
  virtual ~Pipeline() = default;

  /// Segments every frame; of the result's report it fills stages, temporal and presence_changes. Throws as
  /// CardiacSegmenter::run does.
  virtual Segmentation run(const CineView& cine, const RunOptions& options) const = 0;

  /// What CardiacSegmenter::verify does.
  virtual Parity verify(const CineView& cine) const = 0;

  /// Frames that go through the networks together.
  virtual std::int64_t frames_per_call(std::int64_t slices) const = 0;

  /// Runs a picture that shows no heart.
  virtual void warm_up(const CineView& cine, const RunOptions& options) const { run(cine, options); }
};

/// What the parity gate needs beside the networks in use.
struct GateSources {
  MakeHostBackend make_host_backend;
  std::function<Bundle()> read_bundle;  ///< the same bundle again; throws Error
};

/// Loads the bundle's networks into `backend`, in whose memory the pipeline then works. `threads` is the most that the
/// operations before and after the networks use on the host; 0: all cores. Throws Error(backend).
std::unique_ptr<Pipeline> make_pipeline(const Bundle& bundle, std::unique_ptr<const Backend> backend, GateSources gate,
                                        int threads);

}  // namespace cardiacseg
