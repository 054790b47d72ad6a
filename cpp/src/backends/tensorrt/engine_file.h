#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "backends/tensorrt/provider.h"
#include "cardiacseg/engines.h"
#include "cardiacseg/error.h"

/// An engine on disk: "CSEGENG\n", format version and length of the header (32 bits each, little-endian), the header
/// (an EngineInfo as JSON, padded with spaces), the plan that TensorRT wrote. Files are written beside and renamed, so
/// that a reader never sees a part of one. Everything throws Error(backend), with the path.
namespace cardiacseg::tensorrt {

/// Newest format that is read, and the one that is written.
inline constexpr unsigned kEngineFormatVersion = 1;

/// Longest header that is read, in bytes.
inline constexpr std::size_t kHeaderLimit = 1 << 20;

/// The header alone; that the file is as long as it says is checked, the plan's digest is not.
EngineInfo read_engine_header(const std::filesystem::path& path);

/// All of it, the plan's digest checked.
EngineArtifact read_engine_file(const std::filesystem::path& path);

/// Writes `plan` under `info`, whose plan_bytes and plan_sha256 are taken from it, and gives the header as written. The
/// folder is made if it is missing.
EngineInfo write_engine_file(const std::filesystem::path& path, EngineInfo info, std::span<const std::byte> plan);

/// Adds `gpu` to the header's verified_on.
void note_verified(const std::filesystem::path& path, const std::string& gpu);

/// A header to JSON and back; `where` names the file in messages.
std::string header_text(const EngineInfo& info);
EngineInfo parse_header(std::string_view text, const std::string& where);

/// Throws Error(code) if a fact is missing or impossible. `where` starts the message.
void check_facts(const EngineFacts& facts, const std::string& where, ErrorCode code);

/// The requested engine: for which network, GPU and library.
struct EngineSpec {
  std::string network;  ///< for messages
  std::string onnx_sha256;
  std::string flavor;
  std::string library_version;     ///< empty: any
  std::string compute_capability;  ///< of the GPU, "9.0"
  std::string gpu;                 ///< its name
  std::string precision = {};      ///< "fp16" or "fp32"; empty: either
};

/// A file name that says what an engine is for. Engines that differ in more than their profile have different ones.
std::string engine_file_name(const EngineInfo& info);

/// Whether it passed the parity gate on `gpu`.
bool verified_on(const EngineInfo& info, const std::string& gpu);

/// The engine in `folder` that fits `spec`, its header read and its plan not: one verified on this GPU before others,
/// then fp16 before fp32, then one without the plugin. Throws Error(backend) if there is none, saying what the
/// nearest one differs in and how to build one.
EngineArtifact find_engine(const std::filesystem::path& folder, const EngineSpec& spec);

}  // namespace cardiacseg::tensorrt
