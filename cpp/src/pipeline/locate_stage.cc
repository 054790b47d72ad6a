#include "pipeline/locate_stage.h"

#include <array>
#include <utility>

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
      output_(input_.size()) {}

void LocateStage::run(Buffers& buffers, std::span<PlanePoint> centres) const {
  const Grid& padded = buffers.padded_;
  const auto frames = static_cast<std::int64_t>(centres.size());
  const std::span<float> output = part(buffers.output_, 0, padded.voxels(), frames);
  const std::vector<std::int64_t> shape{frames, padded.slices, 1, padded.rows, padded.columns};
  network_->run({buffers.input(frames), shape}, std::array{MutableTensorView{output, shape}});
  for (std::int64_t frame = 0; frame < frames; ++frame) {
    centres[static_cast<std::size_t>(frame)] =
        heart_centre(part(output, frame, padded.voxels()), padded, buffers.coarse_, window_, rules_.threshold);
  }
}

}  // namespace cardiacseg
