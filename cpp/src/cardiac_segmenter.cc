#include "cardiacseg/cardiac_segmenter.h"

#include <utility>

#include "backends/registry.h"
#include "bundle/bundle.h"
#include "cardiacseg/error.h"
#include "pipeline/pipeline.h"

namespace cardiacseg {
namespace {

ChosenBackend choose(const SegmenterOptions& options) {
  if (options.threads < 0) {
    throw Error(ErrorCode::invalid_input,
                "threads must be 0 (all cores) or more, got " + std::to_string(options.threads));
  }
  return choose_backend(options);
}

}  // namespace

std::string version() { return CARDIACSEG_VERSION; }

struct CardiacSegmenter::Parts {
  Parts(const Bundle& bundle, ChosenBackend chosen, int threads)
      : report{.backend = chosen.backend->name(),
               .device = std::move(chosen.device),
               .reason = std::move(chosen.reason),
               .model = bundle.manifest.name,
               .model_digest = bundle.digest,
               .version = version(),
               .stages = {}},
        pipeline(bundle, std::move(chosen.backend), threads) {}

  RunReport report;
  Pipeline pipeline;
};

CardiacSegmenter::CardiacSegmenter(const std::filesystem::path& bundle, const SegmenterOptions& options) {
  ChosenBackend chosen = choose(options);
  parts_ = std::make_unique<const Parts>(read_bundle(bundle), std::move(chosen), options.threads);
}

CardiacSegmenter::~CardiacSegmenter() = default;
CardiacSegmenter::CardiacSegmenter(CardiacSegmenter&&) noexcept = default;
CardiacSegmenter& CardiacSegmenter::operator=(CardiacSegmenter&&) noexcept = default;

Segmentation CardiacSegmenter::run(const CineView& cine, const RunOptions& options) const {
  Segmentation result = parts_->pipeline.run(cine, options);
  std::vector<StageTime> stages = std::exchange(result.report.stages, {});
  result.report = parts_->report;
  result.report.stages = std::move(stages);
  return result;
}

}  // namespace cardiacseg
