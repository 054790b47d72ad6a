#pragma once

#include "backends/backend.h"
#include "bundle/bundle.h"
#include "cardiacseg/parity.h"
#include "cardiacseg/views.h"
#include "pipeline/device_stages.h"

namespace cardiacseg {

/// Puts the networks of `stages` through the parity gate: each gets what its stage of the pipeline on the CPU gets for
/// `cine`, which lies in host memory, and its outputs are compared with those of the networks that `reference` loads
/// from `bundle`. As many frames go together as `stages` takes. Throws Error.
Parity check_parity(const Bundle& bundle, const Backend& reference, const DeviceStages& stages, const CineView& cine,
                    int threads);

}  // namespace cardiacseg
