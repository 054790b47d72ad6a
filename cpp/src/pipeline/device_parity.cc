#include "pipeline/device_parity.h"

#include <algorithm>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "pipeline/input_checks.h"
#include "pipeline/load_stages.h"
#include "pipeline/parity.h"
#include "pipeline/run_frames.h"

namespace cardiacseg {
namespace {

/// The reference's network, which has each of its runs repeated and compared on the GPU.
class ComparedNetwork : public Network {
 public:
  ComparedNetwork(std::unique_ptr<Network> reference, const DeviceNetwork& device, StageComparison& comparison)
      : reference_(std::move(reference)), device_(device), comparison_(comparison) {}

  const std::vector<std::string>& outputs() const override { return reference_->outputs(); }

  void run(const TensorView& input, std::span<const MutableTensorView> outputs,
           const KeepGoing& keep_going) const override {
    reference_->run(input, outputs, keep_going);
    std::vector<std::vector<float>> found;
    std::vector<MutableTensorView> views;
    for (const MutableTensorView& output : outputs) {
      found.emplace_back(output.values.size(), std::numeric_limits<float>::quiet_NaN());
      views.push_back({found.back(), output.shape});
    }
    device_.run(input, views, keep_going);
    StageOutputs here;
    StageOutputs there;
    for (std::size_t index = 0; index < outputs.size(); ++index) {
      const bool logits = this->outputs()[index] == "logits";
      (logits ? here.logits : here.probabilities) = outputs[index].values;
      (logits ? there.logits : there.probabilities) = found[index];
    }
    comparison_.add(here, there, input.shape[0] * input.shape[1]);
  }

 private:
  std::unique_ptr<Network> reference_;
  const DeviceNetwork& device_;
  StageComparison& comparison_;
};

}  // namespace

Parity check_parity(const Bundle& bundle, const Backend& reference, const DeviceStages& stages, const CineView& cine,
                    int threads) {
  check_cine(cine);
  std::vector<std::pair<std::string, const DeviceNetwork*>> networks;
  if (stages.locate) networks.emplace_back("locate", stages.locate.get());
  networks.emplace_back("seg", stages.seg.get());
  if (stages.ref) networks.emplace_back("ref", stages.ref.get());
  std::map<std::string, StageComparison> comparisons;
  std::map<std::string, const DeviceNetwork*> by_name(networks.begin(), networks.end());
  for (const auto& [stage, network] : networks) {
    comparisons.emplace(stage, StageComparison(stage, network->precision(), stages.manifest.presence_threshold));
  }
  const Stages compared = load_stages(
      bundle,
      [&](const std::string& stage, std::span<const std::byte> onnx) {
        return std::make_unique<ComparedNetwork>(reference.load(stage, onnx), *by_name.at(stage),
                                                 comparisons.at(stage));
      },
      threads);
  const std::int64_t size = std::min(cine.shape.frames, stages.max_frames());
  Segmentation result = empty_segmentation(cine.shape, {});
  FrameGroup group(compared, cine, size, {});
  StageClock clock;
  run_frames(size, stages.manifest, false, {}, result, [&](std::int64_t first, std::int64_t count, Gating gating) {
    group.run(first, count, gating, result, clock);
  });
  std::vector<StageParity> found;
  for (const auto& [stage, network] : networks) found.push_back(comparisons.at(stage).result());
  return join(std::move(found));
}

}  // namespace cardiacseg
