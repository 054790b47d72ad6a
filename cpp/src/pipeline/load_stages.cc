#include "pipeline/load_stages.h"

#include <algorithm>
#include <cmath>
#include <utility>
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

std::vector<Names> outputs_of(const std::string& stage) {
  if (stage == "locate") return {{"heart"}};
  return {{"logits"}, {"logits", "presence"}};
}

}  // namespace

void require_outputs(const std::string& stage, const Network& network) {
  const std::vector<Names> choices = outputs_of(stage);
  if (std::find(choices.begin(), choices.end(), network.outputs()) != choices.end()) return;
  std::string wanted;
  for (const Names& choice : choices) wanted += (wanted.empty() ? "" : " or ") + to_string(choice);
  throw Error(ErrorCode::bad_bundle,
              "network " + stage + ": wanted the outputs " + wanted + ", found " + to_string(network.outputs()));
}

ops::HeartCentreRules crop_rules(const Manifest& manifest, const LocateRules& locate) {
  const double side = static_cast<double>(manifest.crop_pixels) * manifest.spacing_mm / locate.spacing_mm;
  return {.threshold = locate.threshold,
          .window = std::max<std::int64_t>(1, std::lrint(side)),
          .ratio = locate.spacing_mm / manifest.spacing_mm,
          .crop_rows = manifest.crop_pixels,
          .crop_columns = manifest.crop_pixels};
}

Stages load_stages(const Bundle& bundle, const LoadNetwork& load, int threads) {
  const auto checked = [&](const std::string& stage, const std::vector<std::byte>& onnx) {
    std::unique_ptr<Network> network = load(stage, onnx);
    require_outputs(stage, *network);
    return network;
  };
  Stages stages{.manifest = bundle.manifest,
                .locate = {},
                .seg = SegmentationStage(checked("seg", bundle.seg)),
                .ref = std::nullopt,
                .threads = threads};
  if (bundle.ref) stages.ref.emplace(checked("ref", *bundle.ref));
  if (bundle.locate && bundle.manifest.locate) {
    const LocateRules& rules = *bundle.manifest.locate;
    stages.locate.emplace(rules, crop_rules(bundle.manifest, rules), checked("locate", *bundle.locate));
  }
  return stages;
}

}  // namespace cardiacseg
