#include "pipeline/windowed_run.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "cardiacseg/labels.h"
#include "ops/keep_largest_component.h"
#include "ops/mask_fusion_common.h"
#include "ops/parallel.h"
#include "ops/presence_gate.h"
#include "ops/zoom.h"
#include "pipeline/cine_pixels.h"
#include "pipeline/cine_run.h"

namespace cardiacseg {
namespace {

constexpr auto kLabels = static_cast<std::size_t>(kLabelCount);

/// Ratio of the largest to the smallest extent of a voxel from which nnU-Net treats each slice for itself.
constexpr double kAnisotropic = 3.0;

bool is_anisotropic(double slice, double row, double column) {
  const auto [smallest, largest] = std::minmax({slice, row, column});
  return largest / smallest > kAnisotropic;
}

/// Where the resampled values are clipped to: the values before, of the same slice or, with voxels that are nearly
/// cubes, of the stack.
bool clips_each_slice(const Spacing& spacing, const WindowRules& rules) {
  return is_anisotropic(spacing.slice, spacing.row, spacing.column) ||
         is_anisotropic(spacing.slice, rules.spacing_mm[0], rules.spacing_mm[1]);
}

std::vector<std::int64_t> input_shape(const WindowRules& rules) { return {1, 1, 1, rules.size[0], rules.size[1]}; }

std::size_t index_of(std::int64_t value) { return static_cast<std::size_t>(value); }

}  // namespace

WindowedRun::WindowedRun(const Networks& networks, const CineView& cine, const RunOptions& options, int threads,
                         Segmentation& result)
    : rules_(networks.manifest.windows.value()),
      networks_(networks),
      cine_(cine),
      options_(options),
      threads_(threads),
      result_(result) {
  if (threads != 1) ahead_ = networks.seg->prepare_ahead(input_shape(rules_));
}

void WindowedRun::run(StageClock& clock) {
  const std::int64_t frames = cine_.shape.frames;
  for (std::int64_t frame = 0; frame < frames; ++frame) {
    report_progress(options_, frame, frames);
    run_frame(frame, clock);
  }
  report_progress(options_, frames, frames);
  result_.report.stages = clock.stages();
}

void WindowedRun::run_frame(std::int64_t frame, StageClock& clock) {
  const auto timed = [&clock](const char* stage, auto work) {
    const Stopwatch watch;
    auto made = work();
    clock.add(stage, watch.milliseconds());
    return made;
  };
  const std::vector<float> padded = timed("preprocess", [&] { return preprocess(frame); });
  const std::vector<float> logits = timed("seg", [&] { return infer(padded); });
  timed("fusion", [&] { return label(frame, logits), true; });
  if (networks_.manifest.clean_up) timed("clean_up", [&] { return keep_largest_component(frame), true; });
}

void WindowedRun::place(const ops::StackBox& box) {
  if (grids_ && grids_->box == box) return;
  const std::int64_t rows = ops::resampled_length(box.rows, cine_.spacing.row, rules_.spacing_mm[0]);
  const std::int64_t columns = ops::resampled_length(box.columns, cine_.spacing.column, rules_.spacing_mm[1]);
  grids_ = Grids{.box = box,
                 .rows = ops::zoom_taps(box.rows, rows, rules_.image_order),
                 .columns = ops::zoom_taps(box.columns, columns, rules_.image_order),
                 .back_rows = ops::zoom_taps(rows, box.rows, rules_.logits_order),
                 .back_columns = ops::zoom_taps(columns, box.columns, rules_.logits_order),
                 .down = ops::window_axis(rows, rules_.size[0]),
                 .across = ops::window_axis(columns, rules_.size[1])};
}

/// The network's grid with padding, `[slices, rows, columns]`.
std::vector<float> WindowedRun::preprocess(std::int64_t frame) {
  const ops::Pixels pixels = pixels_of(cine_, frame, 1);
  place(ops::nonzero_box(pixels, 0));
  std::vector<float> voxels = ops::read_box(pixels, 0, grids_->box);
  ops::z_score(voxels, rules_.nonzero_mask ? ops::nonzero_mask(voxels, grids_->box) : std::vector<std::uint8_t>());
  std::vector<float> padded(index_of(grids_->box.slices) * grids_->padded_plane());
  resample(voxels, padded);
  return padded;
}

void WindowedRun::resample(std::span<const float> voxels, std::span<float> padded) const {
  const Grids& grids = *grids_;
  const bool each_slice = clips_each_slice(cine_.spacing, rules_);
  const auto [stack_low, stack_high] = std::minmax_element(voxels.begin(), voxels.end());
  const std::array stack{*stack_low, *stack_high};
  const std::size_t before = index_of(grids.rows.inputs * grids.columns.inputs);
  ops::parallel_for(grids.box.slices, threads_, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> plane(grids.plane());
    for (std::size_t slice = index_of(begin); slice < index_of(end); ++slice) {
      const std::span<const float> given = voxels.subspan(slice * before, before);
      ops::zoom(given, grids.rows, grids.columns, plane);
      const auto [low, high] = std::minmax_element(given.begin(), given.end());
      const std::array range = each_slice ? std::array{*low, *high} : stack;
      for (std::int64_t row = 0; row < grids.rows.outputs; ++row) {
        const float* from = &plane[index_of(row * grids.columns.outputs)];
        float* to = &padded[slice * grids.padded_plane() + grids.in_padded_plane(row)];
        std::transform(from, from + grids.columns.outputs, to,
                       [&range](float value) { return std::clamp(value, range[0], range[1]); });
      }
    }
  });
}

/// Logits on the network's grid with padding, `[slices, 4, rows, columns]`.
std::vector<float> WindowedRun::infer(std::span<const float> padded) const {
  const Grids& grids = *grids_;
  const std::size_t plane = grids.padded_plane();
  std::vector<float> logits(kLabels * padded.size());
  for (std::size_t slice = 0; slice < index_of(grids.box.slices); ++slice) {
    for (std::size_t down = 0; down < grids.down.starts.size(); ++down) {
      for (std::size_t across = 0; across < grids.across.starts.size(); ++across) {
        add_window(padded.subspan(slice * plane, plane), down, across,
                   std::span(logits).subspan(kLabels * slice * plane, kLabels * plane));
      }
    }
  }
  return logits;
}

/// Adds the weighted logits of one window of `plane`.
void WindowedRun::add_window(std::span<const float> plane, std::size_t down, std::size_t across,
                             std::span<float> logits) const {
  const Grids& grids = *grids_;
  const std::size_t rows = index_of(rules_.size[0]);
  const std::size_t columns = index_of(rules_.size[1]);
  const std::size_t width = index_of(grids.across.padded);
  const std::size_t corner = index_of(grids.down.starts[down]) * width + index_of(grids.across.starts[across]);
  std::vector<float> input(rows * columns);
  std::vector<float> output(kLabels * rows * columns);
  for (std::size_t row = 0; row < rows; ++row) {
    std::copy_n(&plane[corner + row * width], columns, &input[row * columns]);
  }
  const std::vector<std::int64_t> shape = input_shape(rules_);
  const std::array outputs{MutableTensorView{output, {1, 1, kLabelCount, shape[3], shape[4]}}};
  networks_.seg->run({input, shape}, outputs, options_.keep_going);
  for (std::size_t line = 0; line < kLabels * rows; ++line) {
    const std::size_t row = line % rows;
    const float weight = grids.down.weights[down * rows + row];
    float* to = &logits[line / rows * plane.size() + corner + row * width];
    for (std::size_t column = 0; column < columns; ++column) {
      to[column] += weight * grids.across.weights[across * columns + column] * output[line * columns + column];
    }
  }
}

void WindowedRun::label(std::int64_t frame, std::span<const float> logits) {
  const std::int64_t first = frame * cine_.shape.slices;
  if (!result_.probabilities.empty()) {
    const std::size_t plane = index_of(cine_.shape.rows * cine_.shape.columns);
    for (std::size_t slice = index_of(first); slice < index_of(first + cine_.shape.slices); ++slice) {
      std::fill_n(&result_.probabilities[kLabels * slice * plane], plane, 1.0F);
    }
  }
  const std::size_t size = kLabels * grids_->padded_plane();
  ops::parallel_for(grids_->box.slices, threads_, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t slice = begin; slice < end; ++slice) {
      label_slice(first + grids_->box.first_slice + slice, logits.subspan(index_of(slice) * size, size));
    }
  });
}

/// Labels, presence and probabilities of slice `slice` of all frames' from its logits with padding.
void WindowedRun::label_slice(std::int64_t slice, std::span<const float> logits) {
  const Grids& grids = *grids_;
  const std::size_t inside = index_of(grids.box.rows * grids.box.columns);
  std::vector<float> fine(kLabels * inside);
  std::vector<float> plane(grids.plane());
  for (std::size_t label = 0; label < kLabels; ++label) {
    for (std::int64_t row = 0; row < grids.rows.outputs; ++row) {
      std::copy_n(&logits[label * grids.padded_plane() + grids.in_padded_plane(row)], grids.columns.outputs,
                  &plane[index_of(row * grids.columns.outputs)]);
    }
    ops::zoom(plane, grids.back_rows, grids.back_columns, std::span(fine).subspan(label * inside, inside));
  }
  const ops::Gate open = ops::presence_gate(nullptr, 0, 0.0F);
  const float scale = ops::logit_scale(networks_.manifest.temperature);
  const std::size_t size = index_of(cine_.shape.rows * cine_.shape.columns);
  float* presence = &result_.presence[index_of(slice * kStructureCount)];
  for (std::size_t index = 0; index < inside; ++index) {
    const std::int64_t row = grids.box.first_row + static_cast<std::int64_t>(index) / grids.box.columns;
    const std::int64_t column = grids.box.first_column + static_cast<std::int64_t>(index) % grids.box.columns;
    const std::size_t voxel = index_of(row * cine_.shape.columns + column);
    const ops::Probabilities values{
        {fine[index], fine[inside + index], fine[2 * inside + index], fine[3 * inside + index]}};
    const std::int32_t label = ops::best_label(values);
    result_.labels[index_of(slice) * size + voxel] = static_cast<std::uint8_t>(label);
    if (label > 0) presence[label - 1] = 1.0F;
    if (result_.probabilities.empty()) continue;
    const ops::Probabilities found = ops::gated_softmax(values, scale, open);
    for (std::size_t k = 0; k < kLabels; ++k) {
      result_.probabilities[(kLabels * index_of(slice) + k) * size + voxel] = found.of[k];
    }
  }
}

void WindowedRun::keep_largest_component(std::int64_t frame) {
  const CineShape& shape = cine_.shape;
  ops::keep_largest_component(frame_span(result_.labels, {frame, 1}, shape.voxels_per_frame()), shape.slices,
                              shape.rows, shape.columns, threads_);
}

}  // namespace cardiacseg
