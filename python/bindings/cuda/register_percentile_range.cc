#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <cstdint>
#include <string>

#include "ops/percentile_range_cuda.h"
#include "pointers.h"

namespace py = pybind11;

namespace cardiacseg::python {
namespace {

void percentile_range(const std::string& type, std::uintptr_t pixels, const std::array<std::int64_t, 4>& shape,
                      double lower, double upper, std::uintptr_t workspace, std::uintptr_t ranges,
                      std::uintptr_t stream) {
  ops::percentile_range_cuda(device_pixels(type, pixels, shape), lower, upper,
                             device_pointer<void>(workspace, "workspace"),
                             device_pointer<ops::IntensityRange>(ranges, "ranges"), device_stream(stream));
}

std::size_t percentile_range_workspace(const std::string& type, std::int64_t stacks, std::int64_t voxels) {
  return ops::percentile_range_workspace(pixel_type(type), stacks, voxels);
}

}  // namespace

/// percentile_range_cuda.h, of pixels `[stacks, slices, rows, columns]` in C order.
void register_percentile_range(py::module_& module) {
  using py::arg;
  module.def("percentile_range_workspace", &percentile_range_workspace, arg("type"), arg("stacks"), arg("voxels"));
  module.def("percentile_range", &percentile_range, arg("type"), arg("pixels"), arg("shape"), arg("lower"),
             arg("upper"), arg("workspace"), arg("ranges"), arg("stream"));
}

}  // namespace cardiacseg::python
