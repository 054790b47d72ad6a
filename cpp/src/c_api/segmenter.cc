#include <nlohmann/json.hpp>

#include "backends/process.h"
#include "c_api/call.h"
#include "c_api/handles.h"
#include "cardiacseg/cardiac_segmenter.h"
#include "cardiacseg/labels.h"

namespace cardiacseg::c_api {
namespace {

using Segmenters = Handles<const CardiacSegmenter, csg_segmenter>;
using DeviceLabels = Handles<std::uint8_t, csg_device_labels>;

// Never destroyed: when the process ends, the inference library may be gone before them.
Segmenters& segmenters() {
  static auto* const all = new Segmenters("csg_segmenter");
  return *all;
}

DeviceLabels& device_labels() {
  static auto* const all = new DeviceLabels("csg_device_labels");
  return *all;
}

std::string text_or(const char* text, const char* otherwise) { return text == nullptr ? otherwise : text; }

SegmenterOptions options_of(const csg_segmenter_options* options) {
  if (options == nullptr) return {};
  const csg_segmenter_options given = read_struct(options, CSG_SEGMENTER_OPTIONS_INIT, "csg_segmenter_options");
  require(given.threads >= 0 && given.threads <= std::numeric_limits<int>::max(),
          "csg_segmenter_options.threads: expected 0 (all cores) or more, got " + std::to_string(given.threads));
  return {.device = text_or(given.device, "auto"),
          .threads = static_cast<int>(given.threads),
          .precision = text_or(given.precision, "auto"),
          .engines = text_or(given.engines, ""),
          .cache = text_or(given.cache, "")};
}

RunOptions options_of(const csg_run_options& given, const csg_run_outputs& outputs) {
  RunOptions options{.probabilities = outputs.probabilities != nullptr,
                     .temporal = given.temporal_off != 0 ? "off" : "auto",
                     .device_labels = given.keep_labels_on_device != 0,
                     .stream = given.stream};
  if (given.progress != nullptr) {
    options.progress = [progress = given.progress, context = given.context](std::int64_t done, std::int64_t total) {
      return progress(context, done, total) != 0;
    };
  }
  if (given.keep_going != nullptr) {
    options.keep_going = [keep_going = given.keep_going, context = given.context] { return keep_going(context) != 0; };
  }
  return options;
}

void require_room(const csg_run_outputs& outputs, const CineShape& shape) {
  const auto& [frames, slices, rows, columns] = shape;
  require_capacity(outputs.labels, outputs.labels_capacity, product({frames, slices, rows, columns}), "labels");
  require_capacity(outputs.presence, outputs.presence_capacity, product({frames, slices, kStructureCount}), "presence");
  require_capacity(outputs.probabilities, outputs.probabilities_capacity,
                   product({frames, slices, kLabelCount, rows, columns}), "probabilities");
  require_capacity(outputs.agreement, outputs.agreement_capacity, product({frames, kStructureCount}), "agreement");
  require_capacity(outputs.quality, outputs.quality_capacity, product({frames}), "quality");
}

std::string json_of(const Segmentation& result) {
  using nlohmann::json;
  json stages = json::object();
  for (const StageTime& stage : result.report.stages) stages[stage.stage] = stage.milliseconds;
  json warnings = json::array();
  for (const RunWarning& warning : result.warnings)
    warnings.push_back({{"code", warning.code}, {"text", warning.text}});
  const RunReport& report = result.report;
  const json all{{"backend", report.backend},
                 {"device", report.device},
                 {"reason", report.reason},
                 {"precision", report.precision},
                 {"precision_reason", report.precision_reason},
                 {"model", report.model},
                 {"model_digest", report.model_digest},
                 {"version", report.version},
                 {"stages", stages},
                 {"graph", report.graph},
                 {"temporal", report.temporal},
                 {"presence_changes", report.presence_changes},
                 {"warnings", warnings}};
  return all.dump(-1, ' ', false, json::error_handler_t::replace);
}

void write_report(const Segmentation& result, csg_run_outputs& outputs) {
  const std::string text = json_of(result);
  outputs.report_size = text.size() + 1;
  if (outputs.report == nullptr || outputs.report_capacity == 0) return;
  const bool fits = outputs.report_capacity >= outputs.report_size;
  std::memcpy(outputs.report, fits ? text.c_str() : "", fits ? outputs.report_size : 1);
}

void run(const csg_segmenter* segmenter, const csg_cine* cine, const csg_run_options* options,
         csg_run_outputs* outputs) {
  const std::shared_ptr<const CardiacSegmenter> own = segmenters().get(segmenter);
  require(outputs != nullptr, "outputs: expected a pointer, got NULL");
  csg_run_outputs filled = read_struct(outputs, CSG_RUN_OUTPUTS_INIT, "csg_run_outputs");
  filled.report_size = 0;
  filled.device_labels = nullptr;
  filled.device_index = -1;
  const csg_run_options defaults = CSG_RUN_OPTIONS_INIT;
  const csg_run_options given = options == nullptr ? defaults : read_struct(options, defaults, "csg_run_options");
  const CineView view = view_of(cine);
  require(view.data != nullptr, "csg_cine.data: expected a pointer, got NULL");
  require(given.keep_labels_on_device == 0 || filled.labels == nullptr,
          "labels: expected NULL with keep_labels_on_device, as labels are then not copied to the host");
  require_room(filled, view.shape);

  const Segmentation result = own->run(view, options_of(given, filled));
  write_report(result, filled);
  if (result.device_labels) {
    filled.device_labels = device_labels().add(result.device_labels);
    filled.device_index = result.device_index;
  }
  write_array(result.labels, filled.labels);
  write_array(result.presence, filled.presence);
  write_array(result.probabilities, filled.probabilities);
  write_array(result.agreement, filled.agreement);
  write_array(result.quality, filled.quality);
  write_struct(filled, outputs);
}

}  // namespace
}  // namespace cardiacseg::c_api

using namespace cardiacseg;

extern "C" {

csg_status csg_segmenter_create(const char* bundle, const csg_segmenter_options* options, csg_segmenter** segmenter) {
  return c_api::call([&] {
    c_api::require(segmenter != nullptr, "segmenter: expected a pointer, got NULL");
    *segmenter = nullptr;
    c_api::require(bundle != nullptr, "bundle: expected the folder of a model, got NULL");
    c_api::require(*bundle != '\0', "bundle: expected the folder of a model, got an empty text");
    auto made = std::make_shared<const CardiacSegmenter>(bundle, c_api::options_of(options));
    *segmenter = c_api::segmenters().add(std::move(made));
  });
}

csg_status csg_segmenter_run(const csg_segmenter* segmenter, const csg_cine* cine, const csg_run_options* options,
                             csg_run_outputs* outputs) {
  return c_api::call([&] {
    enter_process();
    c_api::run(segmenter, cine, options, outputs);
  });
}

csg_status csg_segmenter_warm_up(const csg_segmenter* segmenter, const csg_cine* cine) {
  return c_api::call([&] {
    enter_process();
    const auto own = c_api::segmenters().get(segmenter);
    const CineView view = c_api::view_of(cine);
    const CineKind kind{view.shape, view.spacing, view.type};
    own->warm_up({&kind, 1});
  });
}

csg_status csg_segmenter_destroy(csg_segmenter* segmenter) {
  if (segmenter == nullptr) return CSG_OK;
  return c_api::call([&] {
    enter_process();
    c_api::segmenters().remove(segmenter);
  });
}

const std::uint8_t* csg_device_labels_data(const csg_device_labels* labels) {
  const std::uint8_t* data = nullptr;
  c_api::call([&] {
    enter_process();
    data = c_api::device_labels().get(labels).get();
  });
  return data;
}

csg_status csg_device_labels_destroy(csg_device_labels* labels) {
  if (labels == nullptr) return CSG_OK;
  return c_api::call([&] {
    enter_process();
    c_api::device_labels().remove(labels);
  });
}

}  // extern "C"
