#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "cardiacseg/options.h"
#include "cardiacseg/segmentation.h"
#include "cardiacseg/views.h"

namespace cardiacseg {

/// Version of this library, "major.minor.patch".
[[gnu::visibility("default")]] std::string version();

/// One entry of the list of backends, available or not.
struct BackendStatus {
  std::string name;
  std::string device;
  bool available;
  std::string reason;  ///< one sentence: what it found, or what it lacks
};

/// Every backend that this build knows. Loads no model.
[[gnu::visibility("default")]] std::vector<BackendStatus> list_backends();

/// Segments RV, myocardium and LV in short-axis cine MRI. Construction reads and checks the bundle and loads its
/// networks; the object then stays as it is. Research use only, not a medical device.
class [[gnu::visibility("default")]] CardiacSegmenter {
 public:
  /// `bundle` is a folder with a manifest.json. Throws Error: not_found, bad_bundle, backend, invalid_input.
  explicit CardiacSegmenter(const std::filesystem::path& bundle, const SegmenterOptions& options = {});
  ~CardiacSegmenter();
  CardiacSegmenter(CardiacSegmenter&&) noexcept;
  CardiacSegmenter& operator=(CardiacSegmenter&&) noexcept;

  /// Labels every voxel of every frame. Blocks; may be called from several threads at once. Frames are independent:
  /// a cine gives the same labels as its frames one by one. Working memory does not grow with the number of frames.
  /// Throws Error: invalid_input before any computation, cancelled, backend.
  Segmentation run(const CineView& cine, const RunOptions& options = {}) const;

 private:
  struct Parts;
  std::unique_ptr<const Parts> parts_;
};

}  // namespace cardiacseg
