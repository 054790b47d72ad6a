#include "pipeline/pipeline.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "cardiacseg/error.h"
#include "cardiacseg/labels.h"
#include "pipeline/input_checks.h"

namespace cardiacseg {
namespace {

Stages load_stages(const Bundle& bundle, const Backend& backend) {
  Stages stages{.manifest = bundle.manifest, .locate = {}, .seg = backend.load("seg", bundle.seg), .ref = nullptr};
  if (bundle.ref) stages.ref = backend.load("ref", *bundle.ref);
  if (bundle.locate && bundle.manifest.locate) {
    const Manifest& manifest = bundle.manifest;
    const double window = static_cast<double>(manifest.crop_pixels) * manifest.spacing_mm / manifest.locate->spacing_mm;
    stages.locate.emplace(*manifest.locate, std::max<std::int64_t>(1, std::lrint(window)),
                          backend.load("locate", *bundle.locate));
  }
  return stages;
}

Segmentation empty_segmentation(const CineShape& shape) {
  return {.shape = shape,
          .labels = std::vector<std::uint8_t>(static_cast<std::size_t>(shape.voxels())),
          .presence = std::vector<float>(static_cast<std::size_t>(shape.frames * shape.slices * kStructureCount)),
          .report = {}};
}

void report_progress(const RunOptions& options, std::int64_t done, std::int64_t total) {
  if (options.progress && !options.progress(done, total)) {
    throw Error(ErrorCode::cancelled, "the progress function stopped the run after " + std::to_string(done) + " of " +
                                          std::to_string(total) + " frames");
  }
}

}  // namespace

Pipeline::Pipeline(const Bundle& bundle, std::unique_ptr<const Backend> backend)
    : backend_(std::move(backend)), stages_(load_stages(bundle, *backend_)) {}

Segmentation Pipeline::run(const CineView& cine, const RunOptions& options) const {
  StageClock clock;
  clock.time("check", [&] { check_cine(cine); });
  const std::int64_t total = cine.shape.frames;
  const std::int64_t group_size = std::min(total, backend_->frames_per_call(cine.shape.slices));
  report_progress(options, 0, total);
  Segmentation result = empty_segmentation(cine.shape);
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
