#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "backends/backend.h"

namespace cardiacseg {

/// Networks on the CPU with OpenVINO. `threads` is the most that one call uses; 0: all cores. `cache` is the folder of
/// compiled networks; empty: none is kept. Throws Error(backend) where OpenVINO's CPU plugin cannot be loaded.
std::unique_ptr<Backend> make_openvino_backend(int threads, const std::filesystem::path& cache = {});

/// OpenVINO's version and the CPU that it found, in one phrase. Throws Error(backend) as above.
std::string describe_openvino();

}  // namespace cardiacseg
