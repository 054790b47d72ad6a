#pragma once

#include <memory>

#include "backends/tensorrt/provider.h"
#include "backends/tensorrt/provider/version.h"

namespace cardiacseg::tensorrt {

/// How `network` is to be built: precision, one profile of shapes, GPUs. Throws Error(backend) where the request asks
/// for what this TensorRT does not do.
std::unique_ptr<nvinfer1::IBuilderConfig> make_config(nvinfer1::IBuilder& builder,
                                                      const nvinfer1::INetworkDefinition& network,
                                                      const BuildRequest& request);

}  // namespace cardiacseg::tensorrt
