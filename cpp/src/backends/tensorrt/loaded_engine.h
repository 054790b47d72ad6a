#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>

#include "backends/tensorrt/engine_store.h"
#include "backends/tensorrt/gpu.h"
#include "backends/tensorrt/provider.h"

namespace cardiacseg::tensorrt {

/// Name of the input of engines with the plugin: where the slices of each stack start.
inline constexpr const char* kSliceStarts = "cu_slices";

/// An engine in device memory, and where it came from.
struct LoadedEngine {
  std::filesystem::path path;
  EngineInfo info;
  std::string gpu;  ///< that it is on
  std::unique_ptr<const Engine> engine;
  std::string input;                   ///< the network's own
  bool slice_starts = false;           ///< whether kSliceStarts is an input too
  ShapeRange range;                    ///< of `input`
  std::atomic<bool> verified = false;  ///< passed the parity gate on `gpu`
};

/// Reads an engine file and loads it on `gpu`, or gives the one that this process has loaded from it and still uses.
/// Throws Error(backend), also where its tensors are not those of the header.
std::shared_ptr<LoadedEngine> load_engine(const Provider& provider, const FoundEngine& found, const Gpu& gpu);

}  // namespace cardiacseg::tensorrt
