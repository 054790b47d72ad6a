#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "cardiacseg/engines.h"
#include "cardiacseg/error.h"

namespace cardiacseg::tensorrt {

/// Longest header that is read, in bytes.
inline constexpr std::size_t kHeaderLimit = 1 << 20;

/// An engine file's header as JSON.
std::string header_text(const EngineInfo& info);

/// Reads such a text, of the file `where`. Throws Error(backend), and nothing else, where it is not JSON or a key is
/// missing or has a value that cannot be.
EngineInfo parse_header(std::string_view text, const std::string& where);

/// Throws Error(code) where a fact is missing or cannot be. `where` starts the message.
void check_facts(const EngineFacts& facts, const std::string& where, ErrorCode code);

}  // namespace cardiacseg::tensorrt
