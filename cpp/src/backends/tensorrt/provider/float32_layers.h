#pragma once

#include <string>
#include <vector>

namespace cardiacseg::tensorrt {

/// Of the layers that the parser has made, in their order, those of the graph's nodes `nodes`. A layer has the name of
/// its node, followed by _ and a number where another one has that name; further layers of a node lie next to it and
/// are called "(Unnamed Layer* ...". A few layers of neighbours count too, since nothing tells them apart.
std::vector<bool> layers_of_nodes(const std::vector<std::string>& layers, const std::vector<std::string>& nodes);

}  // namespace cardiacseg::tensorrt
