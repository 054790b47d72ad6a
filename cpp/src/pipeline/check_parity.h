#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backends/backend.h"
#include "bundle/bundle.h"
#include "cardiacseg/parity.h"
#include "cardiacseg/views.h"

namespace cardiacseg {

/// A network that the gate compares with that of `stage`, "locate", "seg" or "ref", in the reference.
struct TestedNetwork {
  std::string stage;
  const Network& network;
  Precision precision;
};

/// Puts `tested` through the parity gate: each network gets what its stage of the pipeline on the CPU gets for `cine`,
/// which lies in host memory, and its outputs are compared with those of the networks that `reference` loads from
/// `bundle`, stage by stage. `frames_per_call` frames go together. Throws Error.
std::vector<StageParity> check_parity(const Bundle& bundle, const Backend& reference,
                                      const std::vector<TestedNetwork>& tested, std::int64_t frames_per_call,
                                      const CineView& cine, int threads);

/// The gate for the networks of `bundle` in bfloat16 on the CPU. Throws Error.
Parity check_host_parity(const Bundle& bundle, const MakeHostBackend& make, const CineView& cine, int threads);

}  // namespace cardiacseg
