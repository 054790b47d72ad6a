#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "backends/backend.h"
#include "bundle/bundle.h"
#include "ops/heart_localization_geometry.h"
#include "pipeline/space.h"

namespace cardiacseg {

/// The networks of a bundle, all of one space, and the manifest's numbers.
struct Networks {
  Manifest manifest;
  std::unique_ptr<const Network> locate;  ///< absent: the crop is the middle of the image
  std::unique_ptr<const Network> seg;
  std::unique_ptr<const Network> ref;  ///< absent: a single-stage model

  /// Whether presence comes from a classifier; if both stages have one, from Ref's.
  bool classify() const;
};

/// Loads the network of `stage`: "locate", "seg" or "ref".
using LoadNetwork =
    std::function<std::unique_ptr<const Network>(const std::string& stage, std::span<const std::byte> onnx)>;

/// All networks of `bundle`. Throws what `load` throws, and Error(bad_bundle) for outputs of other names.
Networks load_networks(const Bundle& bundle, const LoadNetwork& load);

/// How Seg's crop lies round the heart that the locator sees. The box that holds it is as large as the crop.
ops::HeartLocalizationRules crop_rules(const Manifest& manifest);

/// The locator's input for stacks of `grid`: padded below and on the right to what the network takes.
Grid padded_grid(const LocateRules& rules, const Grid& grid);

}  // namespace cardiacseg
