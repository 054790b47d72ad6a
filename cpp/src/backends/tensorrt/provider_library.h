#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "backends/tensorrt/provider.h"

namespace cardiacseg::tensorrt {

/// Every flavour, the preferred one first.
const std::vector<std::string>& flavours();

/// The provider of `flavour`, from libcardiacseg_<flavour>.so in $CARDIACSEG_PROVIDERS, if that is set, or beside the
/// library or program that holds this code. Opened once and never closed. Throws Error(backend) where it is missing or
/// not of this version, invalid_input for an unknown flavour.
const Provider& provider(const std::string& flavour);

/// As `provider`, from a file, anew.
const Provider& open_provider(const std::filesystem::path& library, const std::string& flavour);

}  // namespace cardiacseg::tensorrt
