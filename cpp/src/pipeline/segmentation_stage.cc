#include "pipeline/segmentation_stage.h"

#include <array>
#include <cstddef>
#include <utility>
#include <vector>

#include "cardiacseg/labels.h"

namespace cardiacseg {

SegmentationStage::SegmentationStage(std::unique_ptr<Network> network)
    : network_(std::move(network)), classifies_(network_->outputs().size() == 2) {}

void SegmentationStage::run(const TensorView& input, std::span<float> logits, std::span<float> presence,
                            const KeepGoing& keep_going) const {
  std::vector<std::int64_t> shape = input.shape;
  shape.at(2) = kLabelCount;
  const std::array outputs{MutableTensorView{logits, shape},
                           MutableTensorView{presence, {shape[0], shape[1], kStructureCount}}};
  network_->run(input, std::span(outputs).first(classifies_ ? 2 : 1), keep_going);
}

}  // namespace cardiacseg
