#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "backends/tensorrt/provider.h"

namespace cardiacseg::tensorrt {

/// Every flavor, the preferred one first.
const std::vector<std::string>& flavors();

/// The provider of `flavor`, from libcardiacseg_<flavor>.so in $CARDIACSEG_PROVIDERS, if that is set, or beside the
/// library or program that holds this code. Opened once and never closed. Throws Error(backend) where it is missing or
/// of another interface version, invalid_input for an unknown flavor.
const Provider& provider(const std::string& flavor);

/// As `provider`, from a file, anew.
const Provider& open_provider(const std::filesystem::path& library, const std::string& flavor);

}  // namespace cardiacseg::tensorrt
