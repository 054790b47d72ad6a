#pragma once

#include <functional>
#include <memory>

#include "backends/backend.h"
#include "bundle/bundle.h"
#include "cardiacseg/cardiac_segmenter.h"
#include "cardiacseg/options.h"
#include "cardiacseg/parity.h"
#include "cardiacseg/segmentation.h"
#include "cardiacseg/views.h"

namespace cardiacseg {

/// From pixels to labels. Const and thread-safe.
class Pipeline {
 public:
  virtual ~Pipeline() = default;

  /// Segments every frame; of the result's report it fills stages, temporal, presence_changes and graph. Throws as
  /// CardiacSegmenter::run does.
  virtual Segmentation run(const CineView& cine, const RunOptions& options) const = 0;

  /// What CardiacSegmenter::verify does.
  virtual Parity verify(const CineView& cine, void* stream = nullptr) const = 0;

  /// What CardiacSegmenter::warm_up does for one kind.
  virtual void warm_up(const CineKind& kind, const KeepGoing& keep_going) const = 0;

  /// What CardiacSegmenter::trim does.
  virtual void trim() const {}
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

/// A pipeline whose data stay on the GPU from the upload of the pixels to the labels. Throws Error(backend), also if
/// this build has no GPU code.
std::unique_ptr<Pipeline> make_device_pipeline(const Bundle& bundle, std::unique_ptr<const DeviceBackend> backend,
                                               MakeHostBackend make_host_backend, int threads);

}  // namespace cardiacseg
