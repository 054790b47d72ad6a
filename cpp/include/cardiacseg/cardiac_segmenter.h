#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cardiacseg/options.h"
#include "cardiacseg/parity.h"
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
  std::string reason;  ///< one sentence: what was found, or what is missing
};

/// Every backend that this build knows. Loads no model.
[[gnu::visibility("default")]] std::vector<BackendStatus> list_backends();

/// Device and precision of a run, as its report gives them.
struct DeviceChoice {
  std::string backend;
  std::string device;
  std::string reason;
  std::string precision;
  std::string precision_reason;
};

/// Device and precision that a segmenter with `options` would use for the bundle in folder `bundle`. On the CPU no
/// network is loaded. Throws as the constructor of CardiacSegmenter does.
[[gnu::visibility("default")]] DeviceChoice explain_device(const std::filesystem::path& bundle,
                                                           const SegmenterOptions& options = {});

/// Shape, spacing and pixel type of the cines of a scanner's protocol.
struct CineKind {
  CineShape shape;
  Spacing spacing;
  PixelType type = PixelType::float32;
};

/// Segments RV, myocardium and LV in short-axis cine MRI. Construction reads and checks the bundle and loads its
/// networks; after that the object never changes. Research use only, not a medical device.
///
/// If a process made a segmenter and was then forked, the child process lacks the threads of the inference library. In
/// the child every function throws Error(backend), and destructors of segmenters do not wait.
class [[gnu::visibility("default")]] CardiacSegmenter {
 public:
  /// `bundle` is a folder with a manifest.json. Throws Error: not_found, bad_bundle, backend, invalid_input.
  explicit CardiacSegmenter(const std::filesystem::path& bundle, const SegmenterOptions& options = {});
  ~CardiacSegmenter();
  CardiacSegmenter(CardiacSegmenter&&) noexcept;
  CardiacSegmenter& operator=(CardiacSegmenter&&) noexcept;

  /// Precision of its runs, as in RunReport::precision.
  std::string precision() const;

  /// Device and precision of its runs with the reasons, as in RunReport.
  DeviceChoice choice() const;

  /// Labels every voxel of every frame. Blocks; may be called from several threads at once. Frames go through the
  /// networks one by one. In a cine of 6 or more frames, presence is then decided over all frames of a slice, and
  /// frames in which this changes a decision are labelled again. With fewer frames, or with RunOptions::temporal
  /// "off", a cine gives the same labels as its frames one by one. Working memory does not grow with the number of
  /// frames, except for a few hundred bytes each. Throws Error: invalid_input before any computation, cancelled,
  /// backend.
  ///
  /// If the engines have not passed the parity gate on this GPU, the first run puts them through it (`verify`). If
  /// they fail, it throws Error(backend) with the numbers.
  Segmentation run(const CineView& cine, const RunOptions& options = {}) const;

  /// Makes the first run of cines of these kinds fast, by running a synthetic picture of each: compiles networks,
  /// allocates memory, records CUDA graphs and replays them. On a GPU this prepares one run at a time: if several runs
  /// are active at once, all but one of them still prepare their own. Throws as `run` does. `keep_going` is that of
  /// RunOptions.
  void warm_up(std::span<const CineKind> kinds, const std::function<bool()>& keep_going = {}) const;

  /// Puts the networks through the parity gate with all frames of `cine`: each gets the input of its stage from a run
  /// on the CPU in fp32, and its outputs are compared with those of that run. On a GPU the networks are the engines; if
  /// they pass, the engine files are marked as verified on this GPU. On the CPU they are the bundle's networks in bf16,
  /// whatever the precision of this segmenter; the bundle's folder is read again, and nothing is marked. Throws Error:
  /// backend if the CPU does not compute in bf16; otherwise as `run` does.
  /// `stream` is the CUDA stream on which an image in device memory becomes ready, as RunOptions::stream.
  Parity verify(const CineView& cine, void* stream = nullptr) const;

  /// Frees the GPU memory that no run is using; the next run of each kind allocates it again. No effect on the CPU.
  void trim() const;

 private:
  struct Parts;
  std::unique_ptr<const Parts> parts_;
};

}  // namespace cardiacseg
