#include "pipeline/networks.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "cardiacseg/error.h"

namespace cardiacseg {
namespace {

using Names = std::vector<std::string>;

std::string to_string(const Names& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "none" : text;
}

std::vector<Names> outputs_of(const std::string& stage, bool windows) {
  if (stage == "locate") return {{"heart"}};
  if (windows) return {{"logits"}};
  return {{"logits"}, {"logits", "presence"}};
}

/// Throws Error(bad_bundle) unless the outputs of `network` are what `stage` gives.
void require_outputs(const std::string& stage, bool windows, const Network& network) {
  const std::vector<Names> choices = outputs_of(stage, windows);
  if (std::find(choices.begin(), choices.end(), network.outputs()) != choices.end()) return;
  std::string expected;
  for (const Names& choice : choices) expected += (expected.empty() ? "" : " or ") + to_string(choice);
  throw Error(ErrorCode::bad_bundle,
              "network " + stage + ": expected the outputs " + expected + ", got " + to_string(network.outputs()));
}

std::unique_ptr<const Network> load_one(const LoadNetwork& load, const std::string& stage, bool windows,
                                        std::span<const std::byte> onnx) {
  std::unique_ptr<const Network> network = load(stage, onnx);
  require_outputs(stage, windows, *network);
  return network;
}

bool classifies(const std::unique_ptr<const Network>& network) { return network && network->outputs().size() == 2; }

std::int64_t round_up(std::int64_t length, std::int64_t multiple) {
  return (length + multiple - 1) / multiple * multiple;
}

}  // namespace

bool Networks::classify() const { return classifies(seg) || classifies(ref); }

Networks load_networks(const Bundle& bundle, const LoadNetwork& load) {
  Networks networks{.manifest = bundle.manifest, .locate = nullptr, .seg = nullptr, .ref = nullptr};
  const bool windows = bundle.manifest.windows.has_value();
  if (bundle.locate && bundle.manifest.locate) networks.locate = load_one(load, "locate", windows, *bundle.locate);
  networks.seg = load_one(load, "seg", windows, bundle.seg);
  if (bundle.ref) networks.ref = load_one(load, "ref", windows, *bundle.ref);
  return networks;
}

ops::HeartLocalizationRules crop_rules(const Manifest& manifest) {
  const LocateRules& locate = manifest.locate.value();
  const double side = static_cast<double>(manifest.crop_pixels) * manifest.spacing_mm / locate.spacing_mm;
  return {.threshold = locate.threshold,
          .window = std::max<std::int64_t>(1, std::lrint(side)),
          .ratio = locate.spacing_mm / manifest.spacing_mm,
          .crop_rows = manifest.crop_pixels,
          .crop_columns = manifest.crop_pixels};
}

Grid padded_grid(const LocateRules& rules, const Grid& grid) {
  return {grid.slices, round_up(grid.rows, rules.size_multiple), round_up(grid.columns, rules.size_multiple)};
}

}  // namespace cardiacseg
