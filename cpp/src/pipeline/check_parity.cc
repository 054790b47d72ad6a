#include <limits>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "pipeline/cine_run.h"
#include "pipeline/input_checks.h"
#include "pipeline/networks.h"
#include "pipeline/parity.h"

namespace cardiacseg {
namespace {

/// The reference's network, which has each of its runs repeated by the network that is tested, and compared.
class ComparedNetwork : public Network {
 public:
  ComparedNetwork(std::unique_ptr<Network> reference, const Network& tested, StageComparison& comparison)
      : reference_(std::move(reference)), tested_(tested), comparison_(comparison) {}

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
    tested_.run(input, views, keep_going);
    StageOutputs expected;
    StageOutputs given;
    for (std::size_t index = 0; index < outputs.size(); ++index) {
      const bool logits = this->outputs()[index] == "logits";
      (logits ? expected.logits : expected.probabilities) = outputs[index].values;
      (logits ? given.logits : given.probabilities) = found[index];
    }
    comparison_.add(expected, given, input.shape[0] * input.shape[1]);
  }

 private:
  std::unique_ptr<Network> reference_;
  const Network& tested_;
  StageComparison& comparison_;
};

}  // namespace

NetworksParity check_parity(const Bundle& bundle, const Backend& reference, const std::vector<TestedNetwork>& tested,
                            std::int64_t most, const CineView& cine, int threads) {
  check_cine(cine);
  std::map<std::string, StageComparison> comparisons;
  std::map<std::string, const Network*> networks;
  for (const TestedNetwork& entry : tested) {
    networks.emplace(entry.stage, &entry.network);
    comparisons.emplace(entry.stage, StageComparison(entry.stage, entry.precision, bundle.manifest.presence_threshold));
  }
  const auto load = [&](const std::string& stage, std::span<const std::byte> onnx) {
    return std::make_unique<ComparedNetwork>(reference.load(stage, onnx), *networks.at(stage), comparisons.at(stage));
  };
  const Networks compared = load_networks(bundle, load);
  const RunOptions options{.temporal = "off"};
  NetworksParity found{.stages = {}, .reference = empty_segmentation(cine.shape, options)};
  StageClock clock;
  run_on_host(compared, cine, options, most, threads, found.reference, clock);
  for (const TestedNetwork& entry : tested) found.stages.push_back(comparisons.at(entry.stage).result());
  return found;
}

Parity check_host_parity(const Bundle& bundle, const MakeHostBackend& make, const CineView& cine, int threads) {
  const std::unique_ptr<Backend> narrow = make(Precision::bfloat16);
  const std::unique_ptr<Backend> reference = make(Precision::float32);
  std::vector<std::unique_ptr<Network>> networks;
  std::vector<TestedNetwork> tested;
  for (const auto& [stage, onnx] : network_files(bundle)) {
    networks.push_back(narrow->load(stage, onnx));
    tested.push_back({stage, *networks.back(), Precision::bfloat16});
  }
  return join(
      check_parity(bundle, *reference, tested, reference->frames_per_call(cine.shape.slices), cine, threads).stages,
      "the networks in bf16", "those in fp32");
}

}  // namespace cardiacseg
