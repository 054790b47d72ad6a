#include "pipeline/device_stages.h"

#include <limits>
#include <span>
#include <string>

#include "pipeline/load_stages.h"

namespace cardiacseg {
namespace {

std::unique_ptr<const DeviceNetwork> load(const DeviceBackend& backend, const std::string& stage,
                                          std::span<const std::byte> onnx) {
  std::unique_ptr<const DeviceNetwork> network = backend.load_on_device(stage, onnx);
  require_outputs(stage, *network);
  return network;
}

}  // namespace

std::vector<const DeviceNetwork*> DeviceStages::networks() const {
  std::vector<const DeviceNetwork*> all;
  for (const DeviceNetwork* network : {locate.get(), seg.get(), ref.get()}) {
    if (network != nullptr) all.push_back(network);
  }
  return all;
}

std::vector<TestedNetwork> DeviceStages::tested() const {
  std::vector<TestedNetwork> all;
  const auto add = [&all](const char* stage, const std::unique_ptr<const DeviceNetwork>& network) {
    if (network) all.push_back({stage, *network, network->precision()});
  };
  add("locate", locate);
  add("seg", seg);
  add("ref", ref);
  return all;
}

std::int64_t DeviceStages::max_frames() const {
  std::int64_t most = std::numeric_limits<std::int64_t>::max();
  for (const DeviceNetwork* network : networks()) most = std::min(most, network->max_frames());
  return std::max<std::int64_t>(1, most);
}

bool DeviceStages::verified() const {
  const std::vector<const DeviceNetwork*> all = networks();
  return std::all_of(all.begin(), all.end(), [](const DeviceNetwork* network) { return network->verified(); });
}

void DeviceStages::mark_verified() const {
  for (const DeviceNetwork* network : networks()) network->mark_verified();
}

DeviceStages load_device_stages(const Bundle& bundle, const DeviceBackend& backend) {
  DeviceStages stages{.manifest = bundle.manifest,
                      .locate = nullptr,
                      .seg = load(backend, "seg", bundle.seg),
                      .ref = bundle.ref ? load(backend, "ref", *bundle.ref) : nullptr};
  if (bundle.locate && bundle.manifest.locate) stages.locate = load(backend, "locate", *bundle.locate);
  return stages;
}

}  // namespace cardiacseg
