#include "backends/registry.h"

#include <algorithm>
#include <iterator>
#include <string_view>

#include "cardiacseg/error.h"

#ifdef CARDIACSEG_WITH_OPENVINO
#include "backends/openvino/openvino_backend.h"
#endif

namespace cardiacseg {
namespace {

struct Entry {
  std::string_view name;
  std::string_view device;
  std::string (*describe)();  ///< one phrase; throws Error(backend) where the backend cannot be used
  std::unique_ptr<Backend> (*make)(int threads);
};

/// Every backend of this build, the preferred ones first.
const std::vector<Entry>& entries() {
  static const std::vector<Entry> all{
#ifdef CARDIACSEG_WITH_OPENVINO
      {"openvino", "cpu", describe_openvino, make_openvino_backend},
#endif
  };
  return all;
}

BackendStatus status_of(const Entry& entry) {
  BackendStatus status{std::string(entry.name), std::string(entry.device), true, {}};
  try {
    status.reason = entry.describe();
  } catch (const Error& error) {
    status.available = false;
    status.reason = error.what();
  }
  return status;
}

bool has_device(std::string_view device) {
  return std::any_of(entries().begin(), entries().end(), [&](const Entry& entry) { return entry.device == device; });
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

}  // namespace

std::vector<BackendStatus> list_backends() {
  std::vector<BackendStatus> all;
  std::transform(entries().begin(), entries().end(), std::back_inserter(all), status_of);
  return all;
}

ChosenBackend choose_backend(const SegmenterOptions& options) {
  check_device(options.device);
  const bool any = options.device == "auto";
  std::string reason = any ? "auto" : options.device + " was asked for";
  if (any && !has_device("cuda")) reason += "; this build has no GPU backend";
  for (const Entry& entry : entries()) {
    if (!any && entry.device != options.device) continue;
    const BackendStatus status = status_of(entry);
    reason += "; " + status.reason;
    if (status.available) return {entry.make(options.threads), status.device, reason};
  }
  throw Error(ErrorCode::backend, "no backend is available (" + reason + ")");
}

}  // namespace cardiacseg
