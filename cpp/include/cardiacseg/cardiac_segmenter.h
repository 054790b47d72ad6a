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
  std::string reason;  ///< one sentence: what it found, or what it lacks
};

/// Every backend that this build knows. Loads no model.
[[gnu::visibility("default")]] std::vector<BackendStatus> list_backends();

/// What a run's report would say of the device and the precision.
struct DeviceChoice {
  std::string backend;
  std::string device;
  std::string reason;
  std::string precision;
  std::string precision_reason;
};

/// The device and the precision that `options` lead to for the bundle in folder `bundle`. On the CPU no network is
/// loaded. Throws as the constructor of CardiacSegmenter does.
[[gnu::visibility("default")]] DeviceChoice explain_device(const std::filesystem::path& bundle,
                                                           const SegmenterOptions& options = {});

/// What a scanner's protocol sends.
struct CineKind {
  CineShape shape;
  Spacing spacing;
  PixelType type = PixelType::float32;
};

/// Segments RV, myocardium and LV in short-axis cine MRI. Construction reads and checks the bundle and loads its
/// networks; the object then stays as it is. Research use only, not a medical device.
///
/// A process that was forked from one which had made a segmenter has none of the inference library's threads: there
/// every function throws Error(backend), and segmenters go without a wait.
class [[gnu::visibility("default")]] CardiacSegmenter {
 public:
  /// `bundle` is a folder with a manifest.json. Throws Error: not_found, bad_bundle, backend, invalid_input.
  explicit CardiacSegmenter(const std::filesystem::path& bundle, const SegmenterOptions& options = {});
  ~CardiacSegmenter();
  CardiacSegmenter(CardiacSegmenter&&) noexcept;
  CardiacSegmenter& operator=(CardiacSegmenter&&) noexcept;

  /// What its runs compute in, as RunReport::precision says.
  std::string precision() const;

  /// What it runs on and computes in, and why, as RunReport says.
  DeviceChoice choice() const;

  /// Labels every voxel of every frame. Blocks; may be called from several threads at once. Frames go through the
  /// networks one by one. In a cine of 6 or more frames, whether a structure is in a slice is then decided over the
  /// beat, and frames in which that changes a decision are labelled again; below 6 frames, and with
  /// RunOptions::temporal "off", a cine gives the same labels as its frames one by one. Working memory does not grow
  /// with the number of frames, but for a few hundred bytes each. Throws Error: invalid_input before any computation,
  /// cancelled, backend.
  ///
  /// On a GPU whose engines have not passed the parity gate there, the first run puts them through it (`verify`) and
  /// throws Error(backend) with the numbers where they fail.
  Segmentation run(const CineView& cine, const RunOptions& options = {}) const;

  /// Does for cines of these kinds what would make their first run slow, by running a synthetic picture of each:
  /// compiles networks, takes memory, records CUDA graphs and replays them. On a GPU it does so for one run at a time:
  /// of runs that go on at once, each but one still sets up its own. Throws as `run` does. `keep_going` is that of
  /// RunOptions.
  void warm_up(std::span<const CineKind> kinds, const std::function<bool()>& keep_going = {}) const;

  /// Puts the networks through the parity gate with all frames of `cine`: each gets the input of its stage from a run
  /// on the CPU in fp32, and its outputs are compared with those of that run. On a GPU the networks are the engines; if
  /// they pass, the engine files are marked as verified on this GPU. On the CPU they are the bundle's in bf16, whatever
  /// precision this segmenter runs in; the bundle's folder is read again, and nothing is marked. Throws Error: backend
  /// if the CPU does not compute in bf16; as `run` does otherwise.
  /// An image in device memory becomes ready on `stream`, as RunOptions::stream says.
  Parity verify(const CineView& cine, void* stream = nullptr) const;

  /// Gives back the GPU's memory that no run is using; the next run of each kind takes it anew. Nothing on the CPU.
  void trim() const;

 private:
  struct Parts;
  std::unique_ptr<const Parts> parts_;
};

}  // namespace cardiacseg
