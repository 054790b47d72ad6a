#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "backends/backend.h"
#include "bundle/float32_layers.h"

namespace cardiacseg {

/// Networks on the CPU with OpenVINO, computed in float32, or in bfloat16 but for what of each stage is in `float32`.
/// `threads` is the most that one call uses; 0: all cores. `cache` is the folder of compiled networks; empty: none is
/// kept. Throws Error(backend) if OpenVINO's CPU plugin cannot be loaded.
std::unique_ptr<Backend> make_openvino_backend(int threads, Precision precision = Precision::float32,
                                               const Float32Stages& float32 = {},
                                               const std::filesystem::path& cache = {});

/// Why OpenVINO does not compute in bfloat16 natively here, in one phrase; empty if it does. Throws Error(backend) as
/// above.
std::string openvino_bfloat16_obstacle();

/// OpenVINO's version and the CPU that it found, in one phrase. Throws Error(backend) as above.
std::string describe_openvino();

}  // namespace cardiacseg
