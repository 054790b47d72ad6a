#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <optional>

#include "arrays.h"
#include "ops/crop_pad.h"
#include "ops/mask_fusion.h"
#include "ops/normalize.h"
#include "ops/resample.h"

namespace py = pybind11;

namespace cardiacseg::python {
namespace {

using Floats = Contiguous<float>;

std::vector<float> zeros(std::int64_t planes, std::int64_t rows, std::int64_t columns) {
  return std::vector<float>(static_cast<std::size_t>(planes * rows * columns));
}

py::array_t<float> resample(const Floats& planes, std::pair<double, double> spacing, double target) {
  require_rank(planes, 3, "planes");
  const ops::ResampleGeometry geometry{planes.shape(0), planes.shape(1), planes.shape(2),
                                       spacing.first,   spacing.second,  target};
  const std::int64_t rows = ops::resampled_length(geometry.rows, spacing.first, target);
  const std::int64_t columns = ops::resampled_length(geometry.columns, spacing.second, target);
  std::vector<float> output = zeros(geometry.planes, rows, columns);
  ops::resample(values_of(planes), geometry, output);
  return to_array(std::move(output), {geometry.planes, rows, columns});
}

std::pair<float, float> percentile_range(const Floats& values, double lower, double upper) {
  const ops::IntensityRange range = ops::percentile_range(values_of(values), lower, upper);
  return {range.low, range.high};
}

py::array_t<float> normalize(const Floats& values, std::pair<float, float> range) {
  const std::span<const float> input = values_of(values);
  std::vector<float> output(input.begin(), input.end());
  ops::normalize(output, {range.first, range.second});
  return to_array(std::move(output), {values.shape(), values.shape() + values.ndim()});
}

py::array_t<float> crop_pad(const Floats& planes, const std::array<std::int64_t, 4>& window) {
  require_rank(planes, 3, "planes");
  const auto [top, left, rows, columns] = window;
  std::vector<float> output = zeros(planes.shape(0), rows, columns);
  ops::crop_pad(values_of(planes), planes.shape(0), planes.shape(1), planes.shape(2), {top, left, rows, columns},
                output);
  return to_array(std::move(output), {planes.shape(0), rows, columns});
}

struct FusionTarget {
  std::array<std::int64_t, 2> size;
  std::array<double, 2> spacing;
};

py::array_t<std::uint8_t> mask_fusion(const Floats& logits, const std::optional<Floats>& presence, float threshold,
                                      const FusionTarget& grid, double target,
                                      std::pair<std::int64_t, std::int64_t> origin) {
  require_rank(logits, 4, "logits");
  const ops::FusionGeometry geometry{.slices = logits.shape(0),
                                     .rows = grid.size[0],
                                     .columns = grid.size[1],
                                     .row_spacing = grid.spacing[0],
                                     .column_spacing = grid.spacing[1],
                                     .target = target,
                                     .window = {origin.first, origin.second, logits.shape(2), logits.shape(3)}};
  std::vector<std::uint8_t> labels(static_cast<std::size_t>(geometry.slices * geometry.rows * geometry.columns));
  ops::mask_fusion(values_of(logits), presence ? values_of(*presence) : std::span<const float>(), threshold, geometry,
                   labels);
  return to_array(std::move(labels), {geometry.slices, geometry.rows, geometry.columns});
}

}  // namespace

/// The host operations, for tests.
void register_ops(py::module_& module) {
  py::module_ ops = module.def_submodule("ops", "The host operations, for tests.");
  ops.def("resample", &resample, py::arg("planes"), py::arg("spacing"), py::arg("target"));
  ops.def("percentile_range", &percentile_range, py::arg("values"), py::arg("lower"), py::arg("upper"));
  ops.def("normalize", &normalize, py::arg("values"), py::arg("range"));
  ops.def("crop_pad", &crop_pad, py::arg("planes"), py::arg("window"));
  ops.def(
      "mask_fusion",
      [](const Floats& logits, const std::optional<Floats>& presence, float threshold,
         const std::array<std::int64_t, 2>& size, const std::array<double, 2>& spacing, double target,
         std::pair<std::int64_t, std::int64_t> origin) {
        return mask_fusion(logits, presence, threshold, {size, spacing}, target, origin);
      },
      py::arg("logits"), py::arg("presence"), py::arg("threshold"), py::arg("size"), py::arg("spacing"),
      py::arg("target"), py::arg("origin"));
}

}  // namespace cardiacseg::python
