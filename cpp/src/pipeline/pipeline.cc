#include "pipeline/pipeline.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cardiacseg/error.h"
#include "cardiacseg/labels.h"
#include "pipeline/input_checks.h"

namespace cardiacseg {
namespace {

using Names = std::vector<std::string>;

std::string to_string(const Names& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "none" : text;
}

/// Loads a network, whose outputs must be one of `choices`.
std::unique_ptr<Network> load_network(const Backend& backend, const std::string& stage,
                                      const std::vector<std::byte>& onnx, const std::vector<Names>& choices) {
  std::unique_ptr<Network> network = backend.load(stage, onnx);
  if (std::find(choices.begin(), choices.end(), network->outputs()) != choices.end()) return network;
  std::string wanted;
  for (const Names& choice : choices) wanted += (wanted.empty() ? "" : " or ") + to_string(choice);
  throw Error(ErrorCode::bad_bundle,
              "network " + stage + ": wanted the outputs " + wanted + ", found " + to_string(network->outputs()));
}

SegmentationStage load_stage(const Backend& backend, const std::string& stage, const std::vector<std::byte>& onnx) {
  return SegmentationStage(load_network(backend, stage, onnx, {{"logits"}, {"logits", "presence"}}));
}

Stages load_stages(const Bundle& bundle, const Backend& backend, int threads) {
  Stages stages{.manifest = bundle.manifest,
                .locate = {},
                .seg = load_stage(backend, "seg", bundle.seg),
                .ref = std::nullopt,
                .threads = threads};
  if (bundle.ref) stages.ref = load_stage(backend, "ref", *bundle.ref);
  if (bundle.locate && bundle.manifest.locate) {
    const Manifest& manifest = bundle.manifest;
    const double window = static_cast<double>(manifest.crop_pixels) * manifest.spacing_mm / manifest.locate->spacing_mm;
    stages.locate.emplace(*manifest.locate, std::max<std::int64_t>(1, std::lrint(window)),
                          load_network(backend, "locate", *bundle.locate, {{"heart"}}));
  }
  return stages;
}

/// A result of the final sizes with the values of what is not there.
Segmentation empty_segmentation(const CineShape& shape, bool probabilities) {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  const auto voxels = static_cast<std::size_t>(shape.voxels());
  const auto frames = static_cast<std::size_t>(shape.frames);
  return {.shape = shape,
          .labels = std::vector<std::uint8_t>(voxels),
          .presence = std::vector<float>(static_cast<std::size_t>(shape.frames * shape.slices * kStructureCount)),
          .probabilities = std::vector<float>(probabilities ? kLabelCount * voxels : 0),
          .agreement = std::vector<float>(kStructureCount * frames, nan),
          .quality = std::vector<float>(frames, nan),
          .report = {}};
}

void report_progress(const RunOptions& options, std::int64_t done, std::int64_t total) {
  if (options.progress && !options.progress(done, total)) {
    throw Error(ErrorCode::cancelled, "the progress function stopped the run after " + std::to_string(done) + " of " +
                                          std::to_string(total) + " frames");
  }
}

}  // namespace

Pipeline::Pipeline(const Bundle& bundle, std::unique_ptr<const Backend> backend, int threads)
    : backend_(std::move(backend)), stages_(load_stages(bundle, *backend_, threads)) {}

Segmentation Pipeline::run(const CineView& cine, const RunOptions& options) const {
  StageClock clock;
  clock.time("check", [&] { check_cine(cine); });
  const std::int64_t total = cine.shape.frames;
  const std::int64_t group_size = std::min(total, backend_->frames_per_call(cine.shape.slices));
  report_progress(options, 0, total);
  Segmentation result = empty_segmentation(cine.shape, options.probabilities);
  FrameGroup group(stages_, cine, group_size);
  for (std::int64_t first = 0; first < total; first += group_size) {
    const std::int64_t count = std::min(group_size, total - first);
    group.run(first, count, result, clock);
    report_progress(options, first + count, total);
  }
  result.report.stages = clock.stages();
  return result;
}

}  // namespace cardiacseg
