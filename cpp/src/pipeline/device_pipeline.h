#pragma once

#include <memory>

#include "pipeline/pipeline.h"

namespace cardiacseg {

/// A pipeline that keeps everything from the upload of the pixels to the labels on the GPU. Throws Error(backend), also
/// where this build has no GPU's part.
std::unique_ptr<Pipeline> make_device_pipeline(const Bundle& bundle, std::unique_ptr<const DeviceBackend> backend,
                                               MakeHostBackend reference, int threads);

}  // namespace cardiacseg
