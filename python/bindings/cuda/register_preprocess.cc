#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <cstdint>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "ops/preprocess_cuda.h"
#include "ops/resample_taps.h"
#include "pointers.h"

namespace py = pybind11;

namespace cardiacseg::python {
namespace {

/// Pixels before and after, and the addresses of the first inputs, the counts and the weights.
using Taps = std::tuple<std::int64_t, std::int64_t, std::uintptr_t, std::uintptr_t, std::uintptr_t>;

ops::DeviceTaps device_taps(const Taps& taps) {
  const auto [inputs, outputs, first, count, weights] = taps;
  return {inputs, outputs, device_pointer<const std::int32_t>(first, "first of taps"),
          device_pointer<const std::int32_t>(count, "count of taps"),
          device_pointer<const float>(weights, "weights of taps")};
}

void preprocess(const std::string& type, std::uintptr_t pixels, const std::array<std::int64_t, 4>& shape,
                const Taps& rows, const Taps& columns, std::pair<std::int64_t, std::int64_t> crop,
                std::uintptr_t ranges, std::uintptr_t origins, const std::string& output_type, std::uintptr_t output,
                std::uintptr_t stream) {
  ops::preprocess_cuda(device_pixels(type, pixels, shape),
                       {device_taps(rows), device_taps(columns), crop.first, crop.second},
                       device_pointer<const ops::IntensityRange>(ranges, "ranges"),
                       device_pointer<const ops::CropOrigin>(origins, "origins"), scalar_type(output_type),
                       device_pointer<void>(output, "output"), device_stream(stream));
}

using HostTaps = std::tuple<std::int64_t, std::vector<std::int32_t>, std::vector<std::int32_t>, std::vector<float>>;

HostTaps resample_taps(std::int64_t length, double spacing, double target) {
  ops::ResampleTaps taps = ops::resample_taps(length, spacing, target);
  return {taps.outputs, std::move(taps.first), std::move(taps.count), std::move(taps.weights)};
}

}  // namespace

/// preprocess_cuda.h, of pixels `[stacks, slices, rows, columns]` in C order; `resample_taps` gives an axis' pixels
/// after resampling, first inputs, counts and weights, to be copied to the device.
void register_preprocess(py::module_& module) {
  using py::arg;
  module.def("resample_taps", &resample_taps, arg("length"), arg("spacing"), arg("target"));
  module.def("preprocess", &preprocess, arg("type"), arg("pixels"), arg("shape"), arg("rows"), arg("columns"),
             arg("crop"), arg("ranges"), arg("origins"), arg("output_type"), arg("output"), arg("stream"));
}

}  // namespace cardiacseg::python
