#pragma once

#include <filesystem>
#include <string>

#include "cardiacseg/engines.h"

namespace cardiacseg::tensorrt {

/// What an engine must fit.
struct EngineKey {
  std::string network;  ///< for messages
  std::string onnx_sha256;
  std::string flavour;
  std::string library_version;
  std::string compute_capability;  ///< of the GPU, "9.0"
  std::string gpu;                 ///< its name
  std::string precision = {};      ///< "fp16" or "fp32"; empty: either
};

struct FoundEngine {
  std::filesystem::path path;
  EngineInfo info;
};

/// A file name that says what an engine is for. Engines that differ in more than their profile have different ones.
std::string engine_file_name(const EngineInfo& info);

/// Whether it passed the parity gate on `gpu`.
bool verified_on(const EngineInfo& info, const std::string& gpu);

/// The engine in `folder` that fits `key`: one verified on this GPU before others, then fp16 before fp32, then one
/// without the plugin. Throws Error(backend) where there is none, saying what the nearest one differs in and how to
/// build one.
FoundEngine find_engine(const std::filesystem::path& folder, const EngineKey& key);

/// The command that builds the engines of `flavour`, in `precision` if it is not empty, for the end of a message.
std::string build_command(const std::string& flavour, const std::string& precision = {});

}  // namespace cardiacseg::tensorrt
