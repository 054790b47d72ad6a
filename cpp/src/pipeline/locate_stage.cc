#include "pipeline/locate_stage.h"

#include <array>
#include <utility>

#include "ops/crop_pad.h"

namespace cardiacseg {
namespace {

std::int64_t round_up(std::int64_t length, std::int64_t multiple) {
  return (length + multiple - 1) / multiple * multiple;
}

}  // namespace

LocateStage::LocateStage(const LocateRules& rules, std::int64_t window, std::unique_ptr<Network> network)
    : rules_(rules), window_(window), network_(std::move(network)) {}

LocateStage::Buffers::Buffers(const LocateStage& stage, const Grid& coarse, std::int64_t frames)
    : coarse_(coarse),
      padded_{coarse.slices, round_up(coarse.rows, stage.rules_.size_multiple),
              round_up(coarse.columns, stage.rules_.size_multiple)},
      input_(static_cast<std::size_t>(frames * padded_.voxels())),
      output_(input_.size()),
      heart_(static_cast<std::size_t>(frames * coarse.voxels())) {}

void LocateStage::run(std::span<const float> coarse, Buffers& buffers, std::span<PlanePoint> centres) const {
  const Grid& grid = buffers.coarse_;
  const Grid& padded = buffers.padded_;
  const auto frames = static_cast<std::int64_t>(centres.size());
  const std::int64_t planes = frames * grid.slices;
  const auto padded_size = static_cast<std::size_t>(frames * padded.voxels());
  const std::span<float> input = std::span(buffers.input_).first(padded_size);
  const std::span<float> output = std::span(buffers.output_).first(padded_size);
  const auto size = static_cast<std::size_t>(grid.voxels());
  const std::span<float> heart = std::span(buffers.heart_).first(centres.size() * size);

  ops::crop_pad(coarse, planes, grid.rows, grid.columns, {0, 0, padded.rows, padded.columns}, input);
  const std::vector<std::int64_t> shape{frames, grid.slices, 1, padded.rows, padded.columns};
  network_->run({input, shape}, std::array{MutableTensorView{output, shape}});
  ops::crop_pad(output, planes, padded.rows, padded.columns, {0, 0, grid.rows, grid.columns}, heart);
  for (std::size_t frame = 0; frame < centres.size(); ++frame) {
    centres[frame] = heart_centre(heart.subspan(frame * size, size), grid, window_, rules_.threshold);
  }
}

}  // namespace cardiacseg
