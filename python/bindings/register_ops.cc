#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <optional>

#include "arrays.h"
#include "ops/clean_up.h"
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

std::pair<py::array_t<std::uint8_t>, std::int64_t> clean_up(const Contiguous<std::uint8_t>& labels) {
  require_rank(labels, 3, "labels");
  const std::span<const std::uint8_t> input = values_of(labels);
  std::vector<std::uint8_t> output(input.begin(), input.end());
  const std::int64_t changed = ops::clean_up(output, labels.shape(0), labels.shape(1), labels.shape(2));
  return {to_array(std::move(output), {labels.shape(0), labels.shape(1), labels.shape(2)}), changed};
}

/// Labels `[S, rows, columns]`, or with `probabilities` the pair of them and of probabilities `[S, 4, rows, columns]`.
py::object mask_fusion(const Floats& logits, const std::optional<Floats>& presence, float threshold,
                       const std::array<std::int64_t, 2>& size, const std::array<double, 2>& spacing, double target,
                       std::pair<std::int64_t, std::int64_t> origin, float temperature, bool probabilities) {
  require_rank(logits, 4, "logits");
  const ops::FusionGeometry geometry{.slices = logits.shape(0),
                                     .rows = size[0],
                                     .columns = size[1],
                                     .row_spacing = spacing[0],
                                     .column_spacing = spacing[1],
                                     .target = target,
                                     .window = {origin.first, origin.second, logits.shape(2), logits.shape(3)}};
  const auto voxels = static_cast<std::size_t>(geometry.slices * geometry.rows * geometry.columns);
  std::vector<std::uint8_t> labels(voxels);
  std::vector<float> shares(probabilities ? 4 * voxels : 0);
  ops::mask_fusion(values_of(logits), presence ? values_of(*presence) : std::span<const float>(),
                   {threshold, temperature}, geometry, labels, shares);
  py::object label_array = to_array(std::move(labels), {geometry.slices, geometry.rows, geometry.columns});
  if (!probabilities) return label_array;
  return py::make_tuple(label_array,
                        to_array(std::move(shares), {geometry.slices, 4, geometry.rows, geometry.columns}));
}

}  // namespace

/// The host operations, for tests.
void register_ops(py::module_& module) {
  py::module_ ops = module.def_submodule("ops", "The host operations, for tests.");
  ops.def("resample", &resample, py::arg("planes"), py::arg("spacing"), py::arg("target"));
  ops.def("percentile_range", &percentile_range, py::arg("values"), py::arg("lower"), py::arg("upper"));
  ops.def("normalize", &normalize, py::arg("values"), py::arg("range"));
  ops.def("crop_pad", &crop_pad, py::arg("planes"), py::arg("window"));
  ops.def("clean_up", &clean_up, py::arg("labels"));
  ops.def("mask_fusion", &mask_fusion, py::arg("logits"), py::arg("presence"), py::arg("threshold"), py::arg("size"),
          py::arg("spacing"), py::arg("target"), py::arg("origin"), py::arg("temperature") = 1.0F,
          py::arg("probabilities") = false);
}

}  // namespace cardiacseg::python
