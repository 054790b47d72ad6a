#include "cardiacseg/cardiac_segmenter.h"

#include <optional>
#include <utility>

#include "backends/process.h"
#include "backends/registry.h"
#include "bundle/bundle.h"
#include "cardiacseg/compiled_networks.h"
#include "cardiacseg/error.h"
#include "files/blob_store.h"
#include "pipeline/input_checks.h"
#include "pipeline/pipeline.h"

namespace cardiacseg {
namespace {

/// A bundle that is read when somebody asks for it.
class LazyBundle {
 public:
  explicit LazyBundle(std::filesystem::path folder) : folder_(std::move(folder)) {}

  const Bundle& get() {
    if (!bundle_) bundle_ = read_bundle(folder_);
    return *bundle_;
  }

 private:
  std::filesystem::path folder_;
  std::optional<Bundle> bundle_;
};

/// The bundle that had `digest`. Throws Error(bad_bundle) if another one has taken its place.
Bundle read_again(const std::filesystem::path& folder, const std::string& digest) {
  Bundle bundle = read_bundle(folder);
  if (bundle.digest == digest) return bundle;
  throw Error(ErrorCode::bad_bundle, folder.string() + ": expected the bundle that this segmenter was made from, " +
                                         digest + ", got " + bundle.digest);
}

ChosenBackend choose(const SegmenterOptions& options, LazyBundle& bundle, Engines engines) {
  enter_process();
  if (options.threads < 0) {
    throw Error(ErrorCode::invalid_input,
                "threads must be 0 (all cores) or more, got " + std::to_string(options.threads));
  }
  return choose_backend(options, [&bundle]() -> const Bundle& { return bundle.get(); }, engines);
}

}  // namespace

std::string version() { return CARDIACSEG_VERSION; }

std::filesystem::path compiled_networks_folder(const std::filesystem::path& requested) {
  const std::filesystem::path folder =
      requested.empty() ? user_cache_folder("CARDIACSEG_CACHE", "networks") : requested;
  return folder == "off" ? std::filesystem::path() : folder;
}

DeviceChoice explain_device(const std::filesystem::path& bundle, const SegmenterOptions& options) {
  LazyBundle lazy(bundle);
  ChosenBackend chosen = choose(options, lazy, Engines::looked_for);
  return {chosen.backend->name(), std::move(chosen.device), std::move(chosen.reason), std::move(chosen.precision),
          std::move(chosen.precision_reason)};
}

struct CardiacSegmenter::Parts {
  Parts(const Bundle& bundle, const std::filesystem::path& folder, ChosenBackend chosen, int threads)
      : report{.backend = chosen.backend->name(),
               .device = std::move(chosen.device),
               .reason = std::move(chosen.reason),
               .precision = std::move(chosen.precision),
               .precision_reason = std::move(chosen.precision_reason),
               .model = bundle.manifest.name,
               .model_digest = bundle.digest,
               .version = version(),
               .stages = {},
               .graph = {}},
        pipeline(make_pipeline(
            bundle, std::move(chosen.backend),
            {std::move(chosen.make_host_backend), [folder = std::filesystem::absolute(folder),
                                                   digest = bundle.digest] { return read_again(folder, digest); }},
            threads)) {}

  RunReport report;
  std::unique_ptr<const Pipeline> pipeline;
};

CardiacSegmenter::CardiacSegmenter(const std::filesystem::path& bundle, const SegmenterOptions& options) {
  LazyBundle lazy(bundle);
  ChosenBackend chosen = choose(options, lazy, Engines::loaded);
  parts_ = std::make_unique<const Parts>(lazy.get(), bundle, std::move(chosen), options.threads);
}

CardiacSegmenter::~CardiacSegmenter() {
  if (forked_away()) static_cast<void>(parts_.release());
}

CardiacSegmenter::CardiacSegmenter(CardiacSegmenter&&) noexcept = default;

CardiacSegmenter& CardiacSegmenter::operator=(CardiacSegmenter&& other) noexcept {
  std::swap(parts_, other.parts_);
  return *this;
}

std::string CardiacSegmenter::precision() const { return parts_->report.precision; }

DeviceChoice CardiacSegmenter::choice() const {
  const RunReport& report = parts_->report;
  return {report.backend, report.device, report.reason, report.precision, report.precision_reason};
}

Segmentation CardiacSegmenter::run(const CineView& cine, const RunOptions& options) const {
  enter_process();
  Segmentation result = parts_->pipeline->run(cine, options);
  RunReport of_run = std::exchange(result.report, parts_->report);
  result.report.stages = std::move(of_run.stages);
  result.report.graph = std::move(of_run.graph);
  result.report.temporal = of_run.temporal;
  result.report.presence_changes = of_run.presence_changes;
  result.warnings = run_warnings(cine, result);
  return result;
}

void CardiacSegmenter::warm_up(std::span<const CineKind> kinds, const std::function<bool()>& keep_going) const {
  enter_process();
  for (const CineKind& kind : kinds) parts_->pipeline->warm_up(kind, keep_going);
}

Parity CardiacSegmenter::verify(const CineView& cine, void* stream) const {
  enter_process();
  return parts_->pipeline->verify(cine, stream);
}

void CardiacSegmenter::trim() const {
  enter_process();
  parts_->pipeline->trim();
}

}  // namespace cardiacseg
