#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace cardiacseg {

/// Layers of a network that stay in float32 if the rest computes in bfloat16. Layers are convolutions, transposed
/// convolutions and matrix products, in the order in which they run.
struct Float32Layers {
  bool everything = false;        ///< the network computes in float32
  std::int64_t first = 0;         ///< number of layers at the start; also all operations before them
  std::int64_t last = 0;          ///< number of layers at the end; also all operations after the first of them
  bool other_operations = false;  ///< all operations that are not layers

  bool operator==(const Float32Layers&) const = default;
};

/// By stage: "locate", "seg", "ref". A stage that is missing computes in bfloat16 throughout.
using Float32Stages = std::map<std::string, Float32Layers>;

}  // namespace cardiacseg
