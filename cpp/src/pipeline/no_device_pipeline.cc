#include "cardiacseg/error.h"
#include "pipeline/pipeline.h"

namespace cardiacseg {

std::unique_ptr<Pipeline> make_device_pipeline(const Bundle&, std::unique_ptr<const DeviceBackend>, MakeHostBackend,
                                               int) {
  throw Error(ErrorCode::backend, "this build cannot run on a GPU: it was made without CUDA");
}

}  // namespace cardiacseg
