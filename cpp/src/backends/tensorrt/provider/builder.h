#pragma once

#include "backends/tensorrt/provider.h"

namespace cardiacseg::tensorrt {

/// As Provider::build.
BuiltEngine build_engine(const BuildRequest& request, const BuildProgress& progress);

}  // namespace cardiacseg::tensorrt
