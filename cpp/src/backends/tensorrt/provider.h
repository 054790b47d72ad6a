#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "backends/backend.h"
#include "cardiacseg/engines.h"

/// What a provider library gives: TensorRT as networks of our own interface, so that one runtime can open TensorRT and
/// TensorRT-RTX, whose C++ interfaces differ under the same names, and runs without either. A provider is built
/// with the headers of one of them and opens that one's libraries by itself. Everything throws cardiacseg::Error.
namespace cardiacseg::tensorrt {

/// Of everything that crosses between the runtime and a provider library: the types of this header, of
/// backends/backend.h and of cardiacseg/engines.h. It is raised with every change of them.
inline constexpr std::uint32_t kInterfaceVersion = 1;

/// An engine file in memory.
struct EngineArtifact {
  std::filesystem::path path;
  EngineInfo info;
  std::vector<std::byte> plan;  ///< as TensorRT wrote it; empty if only the header was read
};

/// What a build gives. The rest of an engine file is known without TensorRT.
struct BuiltEngine {
  std::vector<std::byte> plan;
  std::vector<std::byte> timing_cache;  ///< for the next build; empty if there is none
  std::string inspection;               ///< JSON of the engine inspector; empty if the plan cannot be read here
};

/// What is known of a provider without its TensorRT.
struct ProviderFacts {
  std::string flavor;          ///< "tensorrt" or "tensorrt_rtx"
  std::string header_version;  ///< that it was compiled with, "8.5.3"
  bool strongly_typed;         ///< whether precision is that of the graph alone
  int largest_opset;           ///< of ONNX, that its parser takes
};

class Provider {
 public:
  virtual ~Provider() = default;
  virtual ProviderFacts facts() const = 0;

  /// Of the library found, which is opened. Throws Error(backend) if there is none.
  virtual std::string library_version() const = 0;

  /// Puts the engine on the GPU that this thread uses. The plan is not needed afterwards.
  virtual std::unique_ptr<DeviceNetwork> load_engine(const EngineArtifact& artifact) const = 0;

  /// As cardiacseg::build_engine, but that nothing is written.
  virtual BuiltEngine build_engine(const EngineRequest& request, const EngineProgress& progress) const = 0;
};

/// The one symbol that a provider library exports. Returns the interface version that the library was compiled with;
/// if that is `version`, sets `provider`, which lives as long as the library. No C++ type crosses before.
inline constexpr const char* kProviderSymbol = "cardiacseg_open_provider";
using OpenProvider = std::uint32_t (*)(std::uint32_t version, const Provider** provider);

/// The command that builds the engines of `flavor`, in `precision` if it is not empty, for the end of a message.
inline std::string build_command(const std::string& flavor, const std::string& precision = {}) {
  return "build one with `cardiacseg build-engine BUNDLE --flavor " +
         std::string(flavor == "tensorrt_rtx" ? "rtx" : "tensorrt") +
         (precision.empty() ? "" : " --precision " + precision) + "`";
}

}  // namespace cardiacseg::tensorrt
