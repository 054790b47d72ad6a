#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "bundle/float32_layers.h"

namespace cardiacseg {

/// Newest manifest format that this library reads.
inline constexpr int kBundleFormatVersion = 2;

/// Largest file of a bundle, and largest sum of all files that its manifest lists, in bytes.
inline constexpr std::int64_t kBundleLimit = std::int64_t{512} << 20;

/// Parameters of the heart localization.
struct LocateRules {
  double spacing_mm;           ///< in-plane pixel size of its input
  std::int64_t size_multiple;  ///< its input is zero-padded below and right to a multiple of this
  float threshold;             ///< heart probability from which a pixel counts
};

/// How a network sees a stack in windows, as nnU-Net's do (format 2): cropped to what is not 0, divided by the standard
/// deviation after the mean is subtracted, resampled in plane, padded to the window.
struct WindowRules {
  std::array<double, 2> spacing_mm;  ///< of its input: row, column
  std::array<std::int64_t, 2> size;  ///< rows and columns of a window
  bool nonzero_mask;                 ///< mean and standard deviation are those of voxels that are not 0
  int image_order;                   ///< of the interpolation to the input's grid: 1 linear, 3 cubic spline
  int logits_order;                  ///< and back
};

/// Predicted mean Dice of a stack: intercept + slope * mean agreement of Seg and Ref.
struct QualityRule {
  double intercept;
  double slope;
};

/// Facts of a model that the runtime uses, from its manifest.
struct Manifest {
  std::string name;
  std::string version;
  double spacing_mm;                     ///< in-plane pixel size of Seg and Ref
  std::int64_t crop_pixels;              ///< side of the square crop around the heart
  std::array<double, 2> percentiles;     ///< of a stack's intensities; they become 0 and 1
  float presence_threshold;              ///< a structure is shown in a slice if its presence is above this
  float temperature;                     ///< divides the last stage's logits before their softmax
  bool clean_up;                         ///< whether only the largest component is kept and holes are filled
  std::optional<LocateRules> locate;     ///< absent: the crop is the middle of the image
  std::optional<WindowRules> windows{};  ///< given: only Seg; spacing, crop and percentiles are 0
  std::optional<QualityRule> quality;    ///< absent: no quality is predicted
  bool keeps_labels_in_bfloat16;         ///< whether the networks passed the parity gate in bf16 (recorded)
  Float32Stages float32_in_bfloat16{};   ///< what stays in float32 if the networks compute in bfloat16
};

/// A model as read from disk, every digest checked. The networks are the bytes of ONNX files.
struct Bundle {
  Manifest manifest;
  std::string digest;  ///< SHA-256 of manifest.json, lower-case hexadecimal
  std::optional<std::vector<std::byte>> locate;
  std::vector<std::byte> seg;
  std::optional<std::vector<std::byte>> ref;  ///< absent: a single-stage model
};

/// The ONNX files that `bundle` has, by stage, in the order in which they run. The bytes stay the bundle's.
inline std::vector<std::pair<std::string, std::span<const std::byte>>> network_files(const Bundle& bundle) {
  std::vector<std::pair<std::string, std::span<const std::byte>>> files;
  if (bundle.locate) files.emplace_back("locate", *bundle.locate);
  files.emplace_back("seg", bundle.seg);
  if (bundle.ref) files.emplace_back("ref", *bundle.ref);
  return files;
}

/// Reads `folder`/manifest.json and every file that it lists. Throws Error: not_found if the folder, the manifest or a
/// listed file is missing; bad_bundle if the manifest cannot be read or lacks a key, its format is newer, it lists more
/// bytes than the limits above, a path leaves the folder, a file's size or digest is not the listed one, or a network
/// has values in another file (ONNX external data).
Bundle read_bundle(const std::filesystem::path& folder);

}  // namespace cardiacseg
