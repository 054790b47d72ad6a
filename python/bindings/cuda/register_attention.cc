#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>

#include "ops/slice_attention_cuda.h"
#include "pointers.h"

namespace py = pybind11;

namespace cardiacseg::python {
namespace {

void inter_slice_attention(const std::string& type, std::uintptr_t qkv, std::uintptr_t cu_slices, std::int64_t stacks,
                           std::int64_t slices, std::int64_t positions, std::int64_t channels, std::int64_t heads,
                           std::uintptr_t output, std::uintptr_t stream) {
  ops::inter_slice_attention_cuda(scalar_type(type), device_pointer<const void>(qkv, "qkv"),
                                  device_pointer<const std::int32_t>(cu_slices, "cu_slices"),
                                  {stacks, slices, positions, channels, heads}, device_pointer<void>(output, "output"),
                                  device_stream(stream));
}

void intra_slice_attention(const std::string& type, std::uintptr_t qkv, std::int64_t slices, std::int64_t positions,
                           std::int64_t channels, std::int64_t heads, std::uintptr_t output, std::uintptr_t stream) {
  ops::intra_slice_attention_cuda(scalar_type(type), device_pointer<const void>(qkv, "qkv"),
                                  {1, slices, positions, channels, heads}, device_pointer<void>(output, "output"),
                                  device_stream(stream));
}

}  // namespace

/// Attention over qkv `[slices * positions, 3 * channels]`, as slice_attention_cuda.h has it.
void register_attention(py::module_& module) {
  using py::arg;
  module.def("inter_slice_attention", &inter_slice_attention, arg("type"), arg("qkv"), arg("cu_slices"), arg("stacks"),
             arg("slices"), arg("positions"), arg("channels"), arg("heads"), arg("output"), arg("stream"));
  module.def("intra_slice_attention", &intra_slice_attention, arg("type"), arg("qkv"), arg("slices"), arg("positions"),
             arg("channels"), arg("heads"), arg("output"), arg("stream"));
}

}  // namespace cardiacseg::python
