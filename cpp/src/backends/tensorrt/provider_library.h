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

/// Path of the library of that provider.
std::filesystem::path provider_path(const std::string& flavor);

/// The version of TensorRT that the provider of `flavor` opens. Unless TensorRT is in this process already, a child
/// process opens it, after the libraries of OpenVINO that this process has loaded; this process does not change. A
/// success is remembered. Throws Error(backend) if TensorRT is missing or ends the child, saying what to do.
std::string library_version(const std::string& flavor);

/// As `provider`, with its TensorRT opened in this process after a child process could open it.
const Provider& opened_provider(const std::string& flavor);

/// Opens a provider library again. As `provider`, from a file.
const Provider& open_provider(const std::filesystem::path& library, const std::string& flavor);

}  // namespace cardiacseg::tensorrt
