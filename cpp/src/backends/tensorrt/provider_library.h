#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "backends/tensorrt/provider.h"

namespace cardiacseg::tensorrt {

/// Every flavor, the preferred one first.
const std::vector<std::string>& flavors();

/// The provider of `flavor`, from libcardiacseg_<flavor>.so in $CARDIACSEG_PROVIDERS, if that is set, or beside the
/// library or program that holds this code. Opened once and never closed. Throws Error(backend) if it is missing or
/// of another interface version, invalid_input for an unknown flavor.
const Provider& provider(const std::string& flavor);

/// Where that provider lies.
std::filesystem::path provider_path(const std::string& flavor);

/// The version of TensorRT that the provider of `flavor` opens. Unless TensorRT is in this process already, a child
/// process opens it, after the libraries of OpenVINO that are here, and this one stays as it is; if that went well
/// it is not done again. Throws Error(backend) if TensorRT is missing or ends the child, saying what to do.
std::string library_version(const std::string& flavor);

/// As `provider`, its TensorRT opened in this process after a child has shown that it can be.
const Provider& opened_provider(const std::string& flavor);

/// As `provider`, from a file, anew.
const Provider& open_provider(const std::filesystem::path& library, const std::string& flavor);

}  // namespace cardiacseg::tensorrt
