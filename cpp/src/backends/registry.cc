#include "backends/registry.h"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

#include "backends/process.h"
#include "cardiacseg/compiled_networks.h"
#include "cardiacseg/error.h"

#ifdef CARDIACSEG_WITH_OPENVINO
#include "backends/openvino/openvino_backend.h"
#endif
#ifdef CARDIACSEG_WITH_TENSORRT
#include "backends/tensorrt/tensorrt_backend.h"
#endif

namespace cardiacseg {
namespace {

struct Entry {
  std::string_view name;
  std::string_view device;
  std::string (*describe)();  ///< one phrase; throws Error(backend) where the backend cannot be used
  std::unique_ptr<Backend> (*make)(const SegmenterOptions& options);  ///< nullptr: not in this build
};

#ifdef CARDIACSEG_WITH_TENSORRT
template <const char* flavour>
constexpr Entry tensorrt_entry() {
  return {flavour, "cuda", [] { return describe_tensorrt(flavour); },
          [](const SegmenterOptions& options) -> std::unique_ptr<Backend> {
            return make_tensorrt_backend(flavour, options.engines);
          }};
}
#else
template <const char* flavour>
constexpr Entry tensorrt_entry() {
  return {flavour, "cuda",
          []() -> std::string {
            throw Error(ErrorCode::backend, "this build has no TensorRT: it was made without CARDIACSEG_WITH_TENSORRT");
          },
          nullptr};
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
       [](const SegmenterOptions& options) {
         return make_openvino_backend(options.threads, compiled_networks_folder(options.cache));
       }},
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

void check_device(const std::string& device) {
  if (device != "auto" && device != "cpu" && device != "cuda") {
    throw Error(ErrorCode::invalid_input, "device must be auto, cpu or cuda, got '" + device + "'");
  }
  if (device != "auto" && !has_device(device)) {
    const std::string kind = device == "cuda" ? "GPU" : "CPU";
    throw Error(ErrorCode::backend,
                "device '" + device + "' was asked for, but this build has no " + kind + " backend");
  }
}

std::function<std::unique_ptr<Backend>()> reference_maker(const SegmenterOptions& options) {
  return [options] {
    for (const Entry& entry : entries()) {
      if (entry.device == "cpu") return entry.make(options);
    }
    throw Error(ErrorCode::backend, "this build has no CPU backend, which gives the reference");
  };
}

/// Every network of `bundle` on the GPU.
std::vector<std::unique_ptr<DeviceNetwork>> load_all(const Backend& backend, const Bundle& bundle) {
  const auto& device = dynamic_cast<const DeviceBackend&>(backend);
  std::vector<std::unique_ptr<DeviceNetwork>> all;
  if (bundle.locate) all.push_back(device.load_on_device("locate", *bundle.locate));
  all.push_back(device.load_on_device("seg", bundle.seg));
  if (bundle.ref) all.push_back(device.load_on_device("ref", *bundle.ref));
  return all;
}

void require_verified(const std::vector<std::unique_ptr<DeviceNetwork>>& networks) {
  if (std::all_of(networks.begin(), networks.end(), [](const auto& network) { return network->verified(); })) return;
  throw Error(
      ErrorCode::backend,
      "its engines have not passed the parity gate on this GPU yet, as a first run with device 'cuda' makes them");
}

/// Throws Error(backend) where it cannot be used.
ChosenBackend try_entry(const Entry& entry, const SegmenterOptions& options, const ReadBundle& bundle) {
  ChosenBackend chosen{.backend = nullptr,
                       .device = std::string(entry.device),
                       .reason = entry.describe(),
                       .make_reference = reference_maker(options),
                       .loaded = {}};
  chosen.backend = entry.make(options);
  if (entry.device == "cuda") chosen.loaded = load_all(*chosen.backend, bundle());
  if (options.device == "auto") require_verified(chosen.loaded);
  return chosen;
}

}  // namespace

std::vector<BackendStatus> list_backends() {
  std::vector<BackendStatus> all;
  std::transform(entries().begin(), entries().end(), std::back_inserter(all), status_of);
  return all;
}

ChosenBackend choose_backend(const SegmenterOptions& options, const ReadBundle& bundle) {
  check_device(options.device);
  const bool any = options.device == "auto";
  std::string reason = any ? "auto" : options.device + " was asked for";
  if (any && !has_device("cuda")) reason += "; this build has no GPU backend";
  for (const Entry& entry : entries()) {
    if (entry.make == nullptr || (!any && entry.device != options.device)) continue;
    try {
      ChosenBackend chosen = try_entry(entry, options, bundle);
      chosen.reason = reason + "; " + chosen.reason;
      return chosen;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::backend) throw;
      reason += "; " + std::string(entry.name) + " was passed over: " + error.what();
    }
  }
  throw Error(ErrorCode::backend, "no backend is available (" + reason + ")");
}

}  // namespace cardiacseg
