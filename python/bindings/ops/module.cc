#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <optional>

#include "arrays.h"
#include "ops/heart_localization.h"
#include "ops/keep_largest_component.h"
#include "ops/mask_fusion.h"
#include "ops/percentile_range.h"
#include "ops/preprocess.h"
#include "ops/require.h"
#include "ops/resample_taps.h"
#include "ops/slice_attention.h"
#include "ops/stage_counts.h"
#include "pixel_types.h"

namespace py = pybind11;

namespace cardiacseg::python {
namespace {

using Floats = Contiguous<float>;

/// `[stacks, slices, rows, columns]` of any pixel type and strides, read in place.
ops::Pixels pixels_of(const py::array& array) {
  require_rank(array, 4, "pixels");
  return {array.data(),   pixel_type(array.dtype()), array.shape(0),   array.shape(1),   array.shape(2),
          array.shape(3), array.strides(0),          array.strides(1), array.strides(2), array.strides(3)};
}

/// `[stacks, 2]`: low and high.
py::array_t<float> percentile_range(const py::array& pixels, double lower, double upper, int threads) {
  std::vector<ops::IntensityRange> ranges(static_cast<std::size_t>(pixels.shape(0)));
  ops::percentile_range(pixels_of(pixels), lower, upper, threads, ranges);
  std::vector<float> values;
  for (const ops::IntensityRange& range : ranges) values.insert(values.end(), {range.low, range.high});
  return to_array(std::move(values), {pixels.shape(0), 2});
}

template <class Entry, class Element>
std::vector<Entry> pairs_of(const Contiguous<Element>& array) {
  require_rank(array, 2, "ranges and origins");
  std::vector<Entry> entries;
  for (py::ssize_t i = 0; i < array.shape(0); ++i) entries.push_back({array.at(i, 0), array.at(i, 1)});
  return entries;
}

/// Crops `[stacks, slices, *size]`; `ranges` and `origins` are `[stacks, 2]`.
py::array_t<float> preprocess(const py::array& pixels, std::pair<double, double> spacing, double target,
                              const Floats& ranges, const Contiguous<std::int32_t>& origins,
                              std::pair<std::int64_t, std::int64_t> size, int threads) {
  const ops::Pixels view = pixels_of(pixels);
  const ops::ResampleTaps rows = ops::resample_taps(view.rows, spacing.first, target);
  const ops::ResampleTaps columns = ops::resample_taps(view.columns, spacing.second, target);
  const auto [tall, wide] = size;
  std::vector<float> output(ops::element_count("output of preprocess", {view.stacks, view.slices, tall, wide}));
  ops::preprocess(view, {rows, columns, tall, wide}, pairs_of<ops::IntensityRange>(ranges),
                  pairs_of<ops::CropOrigin>(origins), threads, output);
  return to_array(std::move(output), {view.stacks, view.slices, tall, wide});
}

/// Origins `[stacks, 2]` of crops; `heart` is `[stacks, slices, rows, columns]`, of which `grid` is looked at.
py::array_t<std::int32_t> heart_localization(const Floats& heart, std::pair<std::int64_t, std::int64_t> grid,
                                             std::int64_t window, float threshold, double ratio,
                                             std::pair<std::int64_t, std::int64_t> crop) {
  require_rank(heart, 4, "heart");
  const ops::HeartMaps maps{heart.shape(0), heart.shape(1), heart.shape(2), heart.shape(3), grid.first, grid.second};
  std::vector<ops::CropOrigin> origins(static_cast<std::size_t>(maps.stacks));
  ops::heart_localization(values_of(heart), maps, {threshold, window, ratio, crop.first, crop.second}, origins);
  std::vector<std::int32_t> values;
  for (const ops::CropOrigin& origin : origins) values.insert(values.end(), {origin.row, origin.column});
  return to_array(std::move(values), {maps.stacks, 2});
}

/// `[stacks, 3, 4]`: pixels of each label in the first, in the second, in both; logits are `[stacks * S, 4, rows,
/// columns]`.
py::array_t<std::int32_t> stage_counts(const Floats& seg, const Floats& ref, const std::optional<Floats>& presence,
                                       float threshold, std::int64_t stacks, int threads) {
  require_rank(seg, 4, "seg");
  ops::element_count("stacks of stage_counts", {stacks});
  std::vector<std::int32_t> values;
  std::vector<ops::LabelCounts> counts(static_cast<std::size_t>(stacks), ops::LabelCounts{});
  ops::stage_counts(values_of(seg), values_of(ref), presence ? values_of(*presence) : std::span<const float>(),
                    threshold, {stacks, seg.shape(0) / stacks, seg.shape(2), seg.shape(3)}, counts, threads);
  for (const ops::LabelCounts& of_stack : counts) {
    for (const auto& kind : {of_stack.first, of_stack.second, of_stack.both})
      values.insert(values.end(), kind, kind + 4);
  }
  return to_array(std::move(values), {stacks, 3, 4});
}

std::pair<py::array_t<std::uint8_t>, std::int64_t> keep_largest_component(const Contiguous<std::uint8_t>& labels,
                                                                          int threads) {
  require_rank(labels, 3, "labels");
  const std::span<const std::uint8_t> input = values_of(labels);
  std::vector<std::uint8_t> output(input.begin(), input.end());
  const std::int64_t changed =
      ops::keep_largest_component(output, labels.shape(0), labels.shape(1), labels.shape(2), threads);
  return {to_array(std::move(output), {labels.shape(0), labels.shape(1), labels.shape(2)}), changed};
}

/// Labels `[S, rows, columns]`, or with `probabilities` the pair of them and of probabilities `[S, 4, rows, columns]`.
py::object mask_fusion(const Floats& logits, const std::optional<Floats>& presence, float threshold,
                       const std::array<std::int64_t, 2>& size, const std::array<double, 2>& spacing, double target,
                       std::pair<std::int32_t, std::int32_t> origin, float temperature, bool probabilities,
                       int threads) {
  require_rank(logits, 4, "logits");
  const ops::FusionGeometry geometry{.slices = logits.shape(0),
                                     .rows = size[0],
                                     .columns = size[1],
                                     .row_spacing = spacing[0],
                                     .column_spacing = spacing[1],
                                     .target = target,
                                     .crop_rows = logits.shape(2),
                                     .crop_columns = logits.shape(3)};
  const std::array crops{ops::CropOrigin{origin.first, origin.second}};
  const auto voxels = static_cast<std::size_t>(geometry.slices * geometry.rows * geometry.columns);
  std::vector<std::uint8_t> labels(voxels);
  std::vector<float> shares(probabilities ? 4 * voxels : 0);
  ops::mask_fusion(values_of(logits), presence ? values_of(*presence) : std::span<const float>(), crops,
                   {threshold, temperature}, geometry, {.labels = labels, .probabilities = shares}, threads);
  py::object label_array = to_array(std::move(labels), {geometry.slices, geometry.rows, geometry.columns});
  if (!probabilities) return label_array;
  return py::make_tuple(label_array,
                        to_array(std::move(shares), {geometry.slices, 4, geometry.rows, geometry.columns}));
}

/// `qkv` is `[slices * positions, 3 * channels]`: float32, or uint16 with the bits of what `type` says. Without
/// `cu_slices` intra-slice attention.
template <class Element>
py::array_t<Element> slice_attention(const Contiguous<Element>& qkv, ops::ScalarType type, std::int64_t positions,
                                     std::int64_t heads, const std::optional<Contiguous<std::int32_t>>& cu_slices,
                                     int threads) {
  require_rank(qkv, 2, "qkv");
  ops::element_count("positions of qkv", {positions});
  const std::int64_t stacks = cu_slices ? cu_slices->size() - 1 : 1;
  const ops::AttentionShape shape{stacks, qkv.shape(0) / positions, positions, qkv.shape(1) / 3, heads};
  ops::require_size("qkv", values_of(qkv).size(), {shape.slices, positions, 3, shape.channels});
  std::vector<Element> output(values_of(qkv).size() / 3);
  if (cu_slices) {
    ops::inter_slice_attention(type, qkv.data(), cu_slices->data(), shape, output.data(), threads);
  } else {
    ops::intra_slice_attention(type, qkv.data(), shape, output.data(), threads);
  }
  return to_array(std::move(output), {qkv.shape(0), shape.channels});
}

py::array slice_attention_of(const py::array& qkv, const std::string& type, std::int64_t positions, std::int64_t heads,
                             const std::optional<Contiguous<std::int32_t>>& cu_slices, int threads) {
  if (type == "float32") {
    return slice_attention<float>(qkv, ops::ScalarType::float32, positions, heads, cu_slices, threads);
  }
  const auto short_type = type == "float16" ? ops::ScalarType::float16 : ops::ScalarType::bfloat16;
  return slice_attention<std::uint16_t>(qkv, short_type, positions, heads, cu_slices, threads);
}

}  // namespace

void register_errors();

}  // namespace cardiacseg::python

PYBIND11_MODULE(_ops, module) {
  using namespace cardiacseg::python;
  module.doc() = "The operations on the host, for tests.";
  register_errors();
  module.def("resampled_length", &cardiacseg::ops::resampled_length, py::arg("length"), py::arg("spacing"),
             py::arg("target"));
  module.def("percentile_range", &percentile_range, py::arg("pixels"), py::arg("lower"), py::arg("upper"),
             py::arg("threads") = 1);
  module.def("preprocess", &preprocess, py::arg("pixels"), py::arg("spacing"), py::arg("target"), py::arg("ranges"),
             py::arg("origins"), py::arg("size"), py::arg("threads") = 1);
  module.def("heart_localization", &heart_localization, py::arg("heart"), py::arg("grid"), py::arg("window"),
             py::arg("threshold"), py::arg("ratio"), py::arg("crop"));
  module.def("stage_counts", &stage_counts, py::arg("seg"), py::arg("ref"), py::arg("presence"), py::arg("threshold"),
             py::arg("stacks") = 1, py::arg("threads") = 1);
  module.def("keep_largest_component", &keep_largest_component, py::arg("labels"), py::arg("threads") = 1);
  module.def("mask_fusion", &mask_fusion, py::arg("logits"), py::arg("presence"), py::arg("threshold"), py::arg("size"),
             py::arg("spacing"), py::arg("target"), py::arg("origin"), py::arg("temperature") = 1.0F,
             py::arg("probabilities") = false, py::arg("threads") = 1);
  module.def("slice_attention", &slice_attention_of, py::arg("qkv"), py::arg("type"), py::arg("positions"),
             py::arg("heads"), py::arg("cu_slices") = py::none(), py::arg("threads") = 1);
}
