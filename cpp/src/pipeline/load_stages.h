#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "backends/backend.h"
#include "bundle/bundle.h"
#include "ops/heart_centre_geometry.h"
#include "pipeline/frame_group.h"

namespace cardiacseg {

/// Loads the network of `stage`: "locate", "seg" or "ref".
using LoadNetwork = std::function<std::unique_ptr<Network>(const std::string& stage, std::span<const std::byte> onnx)>;

/// All networks of `bundle`. Throws what `load` throws, and Error(bad_bundle) for outputs of other names.
Stages load_stages(const Bundle& bundle, const LoadNetwork& load, int threads);

/// Throws Error(bad_bundle) unless the outputs of `network` are what `stage` gives.
void require_outputs(const std::string& stage, const Network& network);

/// How Seg's crop lies round the heart that the locator sees. The box that holds it is as large as the crop.
ops::HeartCentreRules crop_rules(const Manifest& manifest, const LocateRules& locate);

}  // namespace cardiacseg
