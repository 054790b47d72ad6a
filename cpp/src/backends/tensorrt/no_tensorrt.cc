// In place of engine_build.cc if TensorRT is left out.

#include "cardiacseg/engines.h"
#include "cardiacseg/error.h"

namespace cardiacseg {
namespace {

constexpr const char* kReason = "this build of cardiacseg has no TensorRT backend";

}  // namespace

EngineBuild build_engine(const EngineRequest&, const EngineProgress&) { throw Error(ErrorCode::backend, kReason); }

std::vector<EngineProvider> list_providers() {
  std::vector<EngineProvider> all(2);
  all[0].flavour = "tensorrt";
  all[1].flavour = "tensorrt_rtx";
  for (EngineProvider& entry : all) entry.reason = kReason;
  return all;
}

}  // namespace cardiacseg
