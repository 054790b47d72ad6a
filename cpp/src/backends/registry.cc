#include "backends/registry.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <string_view>
#include <utility>

#include "backends/process.h"
#include "backends/tensorrt/tensorrt_backend.h"
#include "cardiacseg/compiled_networks.h"
#include "cardiacseg/error.h"

#ifdef CARDIACSEG_WITH_OPENVINO
#include "backends/openvino/openvino_backend.h"
#endif

namespace cardiacseg {
namespace {

struct Entry {
  std::string_view name;
  std::string_view device;
  std::string (*describe)();  ///< one phrase; throws Error(backend) if the backend cannot be used
  /// On a CPU in `precision`, on a GPU in what `options` say. nullptr: not in this build
  std::unique_ptr<Backend> (*make)(const SegmenterOptions& options, Precision precision, const Float32Stages& float32);
  std::vector<FittingEngine> (*find)(const SegmenterOptions& options, const StageFiles& files);  ///< on a GPU
  std::string (*bfloat16_obstacle)();  ///< why it does not compute in bf16; empty if it does
};

std::string no_bfloat16_on_gpu() { return "engines on a GPU compute in fp16 or fp32, never in bf16"; }

#ifdef CARDIACSEG_WITH_TENSORRT
template <const char* flavor>
EngineChoice requested_engines(const SegmenterOptions& options) {
  return {flavor, options.engines, options.precision == "fp32" ? "fp32" : ""};
}

template <const char* flavor>
constexpr Entry tensorrt_entry() {
  return {flavor,
          "cuda",
          [] { return describe_tensorrt(flavor); },
          [](const SegmenterOptions& options, Precision, const Float32Stages&) -> std::unique_ptr<Backend> {
            return make_tensorrt_backend(requested_engines<flavor>(options));
          },
          [](const SegmenterOptions& options, const StageFiles& files) {
            return find_engines(requested_engines<flavor>(options), files);
          },
          no_bfloat16_on_gpu};
}
#else
template <const char* flavor>
constexpr Entry tensorrt_entry() {
  return {flavor,
          "cuda",
          []() -> std::string {
            throw Error(ErrorCode::backend, "this build has no TensorRT: it was made without CARDIACSEG_WITH_TENSORRT");
          },
          nullptr,
          nullptr,
          no_bfloat16_on_gpu};
}
#endif

constexpr char kTensorRt[] = "tensorrt";
constexpr char kTensorRtRtx[] = "tensorrt_rtx";

/// Every backend, the preferred ones first.
const std::vector<Entry>& entries() {
  static const std::vector<Entry> all{
      tensorrt_entry<kTensorRt>(),
      tensorrt_entry<kTensorRtRtx>(),
#ifdef CARDIACSEG_WITH_OPENVINO
      {"openvino", "cpu", describe_openvino,
       [](const SegmenterOptions& options, Precision precision, const Float32Stages& float32) {
         return make_openvino_backend(options.threads, precision, float32, compiled_networks_folder(options.cache));
       },
       nullptr, openvino_bfloat16_obstacle},
#endif
  };
  return all;
}

BackendStatus status_of(const Entry& entry) {
  BackendStatus status{std::string(entry.name), std::string(entry.device), true, {}};
  try {
    enter_process();
    status.reason = entry.describe();
  } catch (const Error& error) {
    status.available = false;
    status.reason = error.what();
  }
  return status;
}

bool has_device(std::string_view device) {
  return std::any_of(entries().begin(), entries().end(),
                     [&](const Entry& entry) { return entry.device == device && entry.make != nullptr; });
}

constexpr std::string_view kNumbered = "cuda:";

/// Whether a device names a GPU by number, as "cuda:1" does.
bool is_numbered(std::string_view device) {
  if (!device.starts_with(kNumbered)) return false;
  const std::string_view number = device.substr(kNumbered.size());
  return !number.empty() && number.size() <= 3 &&
         std::all_of(number.begin(), number.end(), [](char digit) { return digit >= '0' && digit <= '9'; });
}

/// "cuda" for "cuda:1", else what `device` says.
std::string kind_of(const std::string& device) { return is_numbered(device) ? "cuda" : device; }

void check_precision(const SegmenterOptions& options) {
  const std::string& precision = options.precision;
  if (precision != "auto" && precision != "fp32" && precision != "bf16") {
    throw Error(ErrorCode::invalid_input, "precision must be auto, fp32 or bf16, got '" + precision + "'");
  }
  if (precision == "bf16" && kind_of(options.device) == "cuda") {
    throw Error(ErrorCode::backend, "precision 'bf16' was asked for on a GPU, but " + no_bfloat16_on_gpu());
  }
}

constexpr char kWithoutGpu[] = "; device 'cpu' or 'auto' runs without a GPU";

void check_device(const std::string& device) {
  const std::string kind = kind_of(device);
  if (kind != "auto" && kind != "cpu" && kind != "cuda") {
    throw Error(ErrorCode::invalid_input, "device must be auto, cpu, cuda or cuda:N, got '" + device + "'");
  }
  if (device == "auto" || has_device(kind)) return;
  const std::string asked = "device '" + device + "' was asked for, but this build has no ";
  if (device == "cpu") throw Error(ErrorCode::backend, asked + "CPU backend");
  throw Error(ErrorCode::backend, asked +
                                      "GPU backend: build cardiacseg with CARDIACSEG_WITH_CUDA and "
                                      "CARDIACSEG_WITH_TENSORRT (docs/engines.md has the command)" +
                                      kWithoutGpu);
}

/// Makes this thread use the GPU that a device names by number, "cuda:1", as long as the result lives.
std::shared_ptr<const void> use_numbered_gpu([[maybe_unused]] const std::string& device) {
#ifdef CARDIACSEG_WITH_TENSORRT
  if (is_numbered(device)) return tensorrt::use_gpu(std::stoi(device.substr(kNumbered.size())));
#endif
  return nullptr;
}

std::string require_bfloat16(const Entry& entry) {
  const std::string obstacle = entry.bfloat16_obstacle();
  if (!obstacle.empty()) throw Error(ErrorCode::backend, "precision 'bf16' is not to be had: " + obstacle);
  return "the CPU computes in it natively";
}

/// `float32` is what stays in float32 in a backend that computes in bfloat16.
MakeHostBackend host_backend_maker(const SegmenterOptions& options, const Float32Stages& float32 = {}) {
  return [options, float32](Precision precision) {
    for (const Entry& entry : entries()) {
      if (entry.device != "cpu") continue;
      if (precision == Precision::bfloat16) require_bfloat16(entry);
      return entry.make(options, precision, float32);
    }
    throw Error(ErrorCode::backend, "this build has no CPU backend, which gives the reference");
  };
}

struct ChosenPrecision {
  Precision precision;
  std::string reason;
};

/// On the CPU. The questions that cost least come first.
ChosenPrecision host_precision(const Entry& entry, const std::string& requested, const ReadBundle& bundle) {
  if (requested == "fp32") return {Precision::float32, "fp32 was asked for"};
  const bool kept = bundle().manifest.keeps_labels_in_bfloat16;
  const std::string record = kept ? "the bundle's manifest records that it keeps its labels in bf16"
                                  : "the bundle's manifest does not record that it keeps its labels in bf16";
  if (requested == "bf16") {
    require_bfloat16(entry);
    return {Precision::bfloat16, "bf16 was asked for; " + record};
  }
  if (!kept) return {Precision::float32, "auto; " + record};
  const std::string obstacle = entry.bfloat16_obstacle();
  if (!obstacle.empty()) return {Precision::float32, "auto; " + obstacle};
  return {Precision::bfloat16, "auto; OpenVINO computes in bf16 natively on this CPU, and " + record};
}

void require_verified(const std::vector<FittingEngine>& engines) {
  if (std::all_of(engines.begin(), engines.end(), [](const auto& engine) { return engine.verified; })) return;
  throw Error(
      ErrorCode::backend,
      "its engines have not passed the parity gate on this GPU yet, as a first run with device 'cuda' makes them");
}

/// What the engines were built in: "fp16", "fp32" or, if they differ, both.
std::string precision_of(const std::vector<FittingEngine>& engines) {
  std::set<std::string> all;
  for (const FittingEngine& engine : engines) all.insert(engine.precision);
  return all.size() == 1 ? *all.begin() : *all.begin() + " and " + *all.rbegin();
}

/// Headers first: engines that will not do are not loaded.
ChosenBackend choose_engines(const Entry& entry, const SegmenterOptions& options, const Bundle& bundle,
                             Engines engines) {
  if (bundle.manifest.windows) {
    throw Error(ErrorCode::backend,
                "this bundle runs on the CPU: its network sees windows of a slice, as nnU-Net's do");
  }
  if (options.precision == "bf16") throw Error(ErrorCode::backend, no_bfloat16_on_gpu());
  const StageFiles files = network_files(bundle);
  const std::vector<FittingEngine> found = entry.find(options, files);
  if (options.device == "auto") require_verified(found);
  ChosenBackend chosen{.backend = entry.make(options, Precision::float32, {}),
                       .device = std::string(entry.device),
                       .reason = entry.describe(),
                       .precision = precision_of(found),
                       .precision_reason = options.precision == "fp32"
                                               ? "fp32 was asked for, and the engines were built in it"
                                               : "the engines were built in it",
                       .make_host_backend = host_backend_maker(options),
                       .loaded = {}};
  if (engines == Engines::looked_for) return chosen;
  const auto& device = dynamic_cast<const DeviceBackend&>(*chosen.backend);
  for (const auto& [stage, onnx] : files) chosen.loaded.push_back(device.load_on_device(stage, onnx));
  return chosen;
}

/// Throws Error(backend) if it cannot be used.
ChosenBackend try_entry(const Entry& entry, const SegmenterOptions& options, const ReadBundle& bundle,
                        Engines engines) {
  if (entry.device == "cuda") return choose_engines(entry, options, bundle(), engines);
  std::string reason = entry.describe();
  const ChosenPrecision precision = host_precision(entry, options.precision, bundle);
  Float32Stages float32;
  if (engines == Engines::loaded) float32 = bundle().manifest.float32_in_bfloat16;
  return {.backend = entry.make(options, precision.precision, float32),
          .device = std::string(entry.device),
          .reason = std::move(reason),
          .precision = to_string(precision.precision),
          .precision_reason = precision.reason,
          .make_host_backend = host_backend_maker(options, float32),
          .loaded = {}};
}

}  // namespace

std::vector<BackendStatus> list_backends() {
  std::vector<BackendStatus> all;
  std::transform(entries().begin(), entries().end(), std::back_inserter(all), status_of);
  return all;
}

ChosenBackend choose_backend(const SegmenterOptions& options, const ReadBundle& bundle, Engines engines) {
  check_precision(options);
  check_device(options.device);
  const std::shared_ptr<const void> gpu = use_numbered_gpu(options.device);
  const std::string kind = kind_of(options.device);
  const bool any = kind == "auto";
  std::string reason = any ? "auto" : options.device + " was asked for";
  if (any && !has_device("cuda")) reason += "; this build has no GPU backend";
  for (const Entry& entry : entries()) {
    if (entry.make == nullptr || (!any && entry.device != kind)) continue;
    try {
      ChosenBackend chosen = try_entry(entry, options, bundle, engines);
      chosen.reason = reason + "; " + chosen.reason;
      chosen.gpu = gpu;
      return chosen;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::backend) throw;
      reason += "; " + std::string(entry.name) + " was passed over: " + error.what();
    }
  }
  throw Error(ErrorCode::backend, "no backend is available (" + reason + ")" + (kind == "cuda" ? kWithoutGpu : ""));
}

}  // namespace cardiacseg
