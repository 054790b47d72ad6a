#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace cardiacseg {

/// Shapes that an engine accepts for one of its inputs, and the shape for which it is fastest.
struct EngineInput {
  std::string name;
  std::vector<std::int64_t> smallest;
  std::vector<std::int64_t> best;
  std::vector<std::int64_t> largest;
};

/// Sources of an engine, as its file says.
struct EngineFacts {
  std::string model;                 ///< name of the bundle
  std::string stage;                 ///< "locate", "seg" or "ref"
  std::string onnx_sha256;           ///< of the stage's ONNX file in the bundle
  std::string precision;             ///< "fp16" or "fp32"
  bool plugin = false;               ///< whether slice attention is our kernel
  std::vector<EngineInput> inputs;   ///< those of the network, and `cu_slices` if the graph has it
  std::vector<std::string> outputs;  ///< in the order of the bundle's ONNX graph
};

/// The header of an engine file.
struct EngineInfo {
  EngineFacts facts;
  std::string flavour;          ///< "tensorrt" or "tensorrt_rtx"
  std::string library_version;  ///< of the library that built it; no other version runs it
  std::string version;          ///< of the cardiacseg that built it
  /// Compute capabilities of the GPUs on which it runs, as "8.6". Empty: 8.0 and later (TensorRT-RTX's own choice).
  std::vector<std::string> compute_capabilities;
  std::string gpu;                       ///< on which it was built; empty: none
  std::vector<std::string> verified_on;  ///< names of GPUs on which it passed the parity gate
  std::uint64_t plan_bytes = 0;
  std::string plan_sha256;
};

/// An engine to be built.
struct EngineRequest {
  std::string flavour = "tensorrt";
  std::filesystem::path folder;  ///< for the file; made if it is missing
  EngineFacts facts;
  std::span<const std::byte> onnx;                ///< the graph for TensorRT, not the bundle's
  std::vector<std::string> float32_nodes;         ///< nodes that stay in 32 bits if types are weak (TensorRT 8, 9)
  std::vector<std::string> compute_capabilities;  ///< "8.6"; TensorRT-RTX only; empty: its own choice
  std::span<const std::byte> timing_cache;        ///< of an earlier build, or empty
  bool inspect = false;                           ///< whether to fill EngineBuild::inspection
};

struct EngineBuild {
  std::filesystem::path path;  ///< of the engine file; its name says its purpose
  EngineInfo info;
  std::vector<std::byte> timing_cache;  ///< for the next build; empty if there is none
  std::string inspection;               ///< JSON of the engine inspector, if asked for
};

/// Called with a phase of the build and its progress, from the thread that called `build_engine` or another one.
/// Returning false stops the build with ErrorCode::cancelled.
using EngineProgress = std::function<bool(const std::string& phase, int step, int steps)>;

/// Builds an engine, which may take minutes, and writes its file, not verified; a file of the same name is replaced as
/// a whole. Throws Error: invalid_input for an invalid request, backend if the library or a GPU that it needs is
/// missing or if the build fails, cancelled.
[[gnu::visibility("default")]] EngineBuild build_engine(const EngineRequest& request,
                                                        const EngineProgress& progress = {});

/// The header of the engine file `path`; the plan's digest is not checked. Throws Error(backend).
[[gnu::visibility("default")]] EngineInfo read_engine_info(const std::filesystem::path& path);

/// A flavor of TensorRT, and what can be built with it.
struct EngineProvider {
  std::string flavour;
  bool available = false;
  std::string reason;           ///< one sentence: what was found, or what is missing
  std::string library_version;  ///< "10.16.0"; this and the following are set if it is available
  bool strongly_typed = false;  ///< whether only its graph decides a network's precision
  int largest_opset = 0;        ///< of ONNX
};

/// Every flavor, usable or not.
[[gnu::visibility("default")]] std::vector<EngineProvider> list_providers();

/// Folder in which engines are searched: `folder`, or if it is empty the first that is set of $CARDIACSEG_ENGINES,
/// $XDG_CACHE_HOME/cardiacseg/engines and ~/.cache/cardiacseg/engines. Throws Error(backend) if none is set.
[[gnu::visibility("default")]] std::filesystem::path engines_folder(const std::filesystem::path& folder = {});

}  // namespace cardiacseg
