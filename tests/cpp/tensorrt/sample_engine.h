#pragma once

#include <string>
#include <vector>

#include "cardiacseg/engines.h"

namespace cardiacseg::test {

/// Facts of an engine for a network that takes 1 to 4 frames of 1 to 8 slices of 32 x 32 pixels.
inline EngineFacts sample_facts() {
  return {.model = "tiny",
          .stage = "seg",
          .onnx_sha256 = std::string(64, 'a'),
          .precision = "fp16",
          .plugin = false,
          .inputs = {{"image", {1, 1, 1, 32, 32}, {1, 4, 1, 32, 32}, {4, 8, 1, 32, 32}}},
          .outputs = {"logits", "presence"}};
}

/// A header as TensorRT's own engines have it, for a GPU of 9.0.
inline EngineInfo sample_info() {
  EngineInfo info;
  info.facts = sample_facts();
  info.flavour = "tensorrt";
  info.library_version = "10.16.0";
  info.version = "0.1.0";
  info.compute_capabilities = {"9.0"};
  info.gpu = "NVIDIA H100";
  return info;
}

}  // namespace cardiacseg::test
