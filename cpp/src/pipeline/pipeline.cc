#include "pipeline/pipeline.h"

#include <utility>

#include "pipeline/device_pipeline.h"
#include "pipeline/host_pipeline.h"

namespace cardiacseg {

std::unique_ptr<Pipeline> make_pipeline(const Bundle& bundle, std::unique_ptr<const Backend> backend, GateSources gate,
                                        int threads) {
  if (backend->memory() == MemorySpace::host) {
    return std::make_unique<HostPipeline>(bundle, std::move(backend), std::move(gate), threads);
  }
  std::unique_ptr<const DeviceBackend> device(dynamic_cast<const DeviceBackend*>(backend.release()));
  return make_device_pipeline(bundle, std::move(device), std::move(gate.make_host_backend), threads);
}

}  // namespace cardiacseg
