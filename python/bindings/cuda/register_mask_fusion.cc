#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <string>
#include <utility>

#include "ops/mask_fusion_cuda.h"
#include "pointers.h"

namespace py = pybind11;

namespace cardiacseg::python {
namespace {

using Extent = std::pair<std::int64_t, std::int64_t>;

void mask_fusion(const std::string& type, std::uintptr_t logits, std::uintptr_t presence, std::uintptr_t origins,
                 Extent stacks_and_slices, Extent crop, Extent size, std::pair<double, double> spacing, double target,
                 float threshold, float temperature, std::uintptr_t labels, std::uintptr_t probabilities,
                 std::uintptr_t counts, std::uintptr_t stream) {
  const ops::DeviceFusionInputs inputs{
      scalar_type(type), device_pointer<const void>(logits, "logits"), device_pointer<const float>(presence),
      device_pointer<const ops::CropOrigin>(origins, "origins"), stacks_and_slices.first};
  const ops::FusionGeometry geometry{stacks_and_slices.second, size.first, size.second, spacing.first,
                                     spacing.second,           target,     crop.first,  crop.second};
  const ops::DeviceFusionOutputs outputs{device_pointer<std::uint8_t>(labels, "labels"),
                                         device_pointer<float>(probabilities), device_pointer<std::int32_t>(counts)};
  ops::mask_fusion_cuda(inputs, {threshold, temperature}, geometry, outputs, device_stream(stream));
}

}  // namespace

/// mask_fusion_cuda.h; presence, probabilities and counts may be 0: not there.
void register_mask_fusion(py::module_& module) {
  using py::arg;
  module.def("mask_fusion", &mask_fusion, arg("type"), arg("logits"), arg("presence"), arg("origins"),
             arg("stacks_and_slices"), arg("crop"), arg("size"), arg("spacing"), arg("target"), arg("threshold"),
             arg("temperature"), arg("labels"), arg("probabilities"), arg("counts"), arg("stream"));
}

}  // namespace cardiacseg::python
