#include "pipeline/locate_stage.h"

#include <array>
#include <utility>

namespace cardiacseg {
namespace {

std::int64_t round_up(std::int64_t length, std::int64_t multiple) {
  return (length + multiple - 1) / multiple * multiple;
}

}  // namespace

Grid padded_grid(const LocateRules& rules, const Grid& grid) {
  return {grid.slices, round_up(grid.rows, rules.size_multiple), round_up(grid.columns, rules.size_multiple)};
}

LocateStage::LocateStage(const LocateRules& rules, const ops::HeartCentreRules& crop, std::unique_ptr<Network> network)
    : rules_(rules), crop_(crop), network_(std::move(network)) {}

LocateStage::Buffers::Buffers(const LocateStage& stage, const Grid& coarse, std::int64_t frames)
    : coarse_(coarse),
      padded_(padded_grid(stage.rules_, coarse)),
      input_(static_cast<std::size_t>(frames * padded_.voxels())),
      output_(input_.size()) {}

void LocateStage::run(Buffers& buffers, std::span<ops::CropOrigin> origins, const KeepGoing& keep_going) const {
  const Grid& padded = buffers.padded_;
  const Grid& coarse = buffers.coarse_;
  const auto frames = static_cast<std::int64_t>(origins.size());
  const std::span<float> output = part(buffers.output_, 0, padded.voxels(), frames);
  const std::vector<std::int64_t> shape{frames, padded.slices, 1, padded.rows, padded.columns};
  network_->run({buffers.input(frames), shape}, std::array{MutableTensorView{output, shape}}, keep_going);
  ops::heart_centre(output, {frames, padded.slices, padded.rows, padded.columns, coarse.rows, coarse.columns}, crop_,
                    origins);
}

}  // namespace cardiacseg
