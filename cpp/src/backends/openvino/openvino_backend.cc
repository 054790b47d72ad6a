#include "backends/openvino/openvino_backend.h"

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <openvino/op/constant.hpp>
#include <openvino/op/matmul.hpp>
#include <openvino/op/parameter.hpp>
#include <openvino/openvino.hpp>
#include <sstream>
#include <utility>
#include <vector>

#include "backends/openvino/openvino_error.h"
#include "backends/openvino/openvino_network.h"
#include "cardiacseg/cardiac_segmenter.h"
#include "cardiacseg/compiled_networks.h"

namespace cardiacseg {
namespace {

constexpr const char* kDevice = "CPU";

ov::element::Type element_of(Precision precision) {
  return precision == Precision::bfloat16 ? ov::element::bf16 : ov::element::f32;
}

ov::AnyMap compile_options(int threads, Precision precision) {
  ov::AnyMap options{
      // Processors with bfloat16 units would otherwise compute in it, and labels would depend on the machine.
      ov::hint::inference_precision(element_of(precision)),
      ov::num_streams(1),
      // Pinned threads of two processes would sit on the same cores.
      ov::hint::enable_cpu_pinning(false),
  };
  if (threads > 0) options.insert(ov::inference_num_threads(threads));
  return options;
}

/// All that a compiled network depends on beside its ONNX file and its shape. What OpenVINO notes in its own files is
/// less: its version and the CPU's instructions.
std::string describe_maker(ov::Core& core, const ov::AnyMap& options) {
  std::ostringstream text;
  text << "cardiacseg " << version() << "\nOpenVINO " << ov::get_openvino_version().buildNumber << "\n"
       << core.get_property(kDevice, ov::device::full_name);
  for (const std::string& capability : core.get_property(kDevice, ov::device::capabilities)) text << " " << capability;
  for (const char* name : {"ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"}) {
    const char* value = std::getenv(name);
    text << "\n" << name << "=" << (value != nullptr ? value : "");
  }
  for (const auto& [name, value] : options) text << "\n" << name << "=" << value.as<std::string>();
  return text.str();
}

std::shared_ptr<OpenVinoContext> make_context(ov::AnyMap options, const std::filesystem::path& cache) {
  ov::Core core = translate_errors("OpenVINO could not start", [] { return ov::Core(); });
  std::string maker =
      translate_errors("OpenVINO's CPU plugin could not be loaded", [&] { return describe_maker(core, options); });
  return std::make_shared<OpenVinoContext>(std::move(core), std::move(options), BlobStore(cache, kCacheBytes),
                                           std::move(maker), kCompiledBytes);
}

/// The smallest network that has a matrix product.
std::shared_ptr<ov::Model> matrix_product() {
  const auto input = std::make_shared<ov::op::v0::Parameter>(ov::element::f32, ov::Shape{32, 32});
  const auto weights = ov::op::v0::Constant::create(ov::element::f32, {32, 32}, std::vector<float>(1024, 1.0F));
  const auto product = std::make_shared<ov::op::v0::MatMul>(input, weights);
  return std::make_shared<ov::Model>(ov::OutputVector{product}, ov::ParameterVector{input});
}

/// Whether a network compiled for bfloat16 computes in it: if oneDNN is kept from instructions that the processor
/// has (ONEDNN_MAX_CPU_ISA), OpenVINO lists them nevertheless, and fails or falls back when it compiles.
bool compiles_in_bfloat16(ov::Core& core) {
  try {
    ov::CompiledModel compiled = core.compile_model(matrix_product(), kDevice, compile_options(1, Precision::bfloat16));
    return compiled.get_property(ov::hint::inference_precision) == ov::element::bf16;
  } catch (const std::exception&) {
    return false;
  }
}

std::string find_bfloat16_obstacle() {
  ov::Core core;
  const std::vector<std::string> listed = core.get_property(kDevice, ov::device::capabilities);
  if (std::find(listed.begin(), listed.end(), ov::device::capability::BF16) == listed.end()) {
    return "OpenVINO does not list bf16 among what this CPU computes in";
  }
  if (!compiles_in_bfloat16(core)) return "OpenVINO does not compile networks for bf16 on this CPU";
  return {};
}

class OpenVinoBackend : public Backend {
 public:
  OpenVinoBackend(int threads, Precision precision, const Float32Stages& float32, const std::filesystem::path& cache)
      : float32_(precision == Precision::bfloat16 ? float32 : Float32Stages{}),
        context_(make_context(compile_options(threads, precision), cache)) {}

  std::string name() const override { return "openvino"; }

  MemorySpace memory() const override { return MemorySpace::host; }

  /// One: a batch of frames would save nothing here, and so no label can depend on the frames beside it.
  std::int64_t frames_per_call(std::int64_t) const override { return 1; }

  std::unique_ptr<Network> load(const std::string& name, std::span<const std::byte> onnx) const override {
    const auto found = float32_.find(name);
    return std::make_unique<OpenVinoNetwork>(context_, name, onnx,
                                             found == float32_.end() ? Float32Layers{} : found->second);
  }

 private:
  Float32Stages float32_;
  std::shared_ptr<OpenVinoContext> context_;
};

}  // namespace

std::unique_ptr<Backend> make_openvino_backend(int threads, Precision precision, const Float32Stages& float32,
                                               const std::filesystem::path& cache) {
  return std::make_unique<OpenVinoBackend>(threads, precision, float32, cache);
}

std::string openvino_bfloat16_obstacle() {
  static const std::string obstacle =
      translate_errors("OpenVINO's CPU plugin could not be loaded", [] { return find_bfloat16_obstacle(); });
  return obstacle;
}

std::string describe_openvino() {
  return translate_errors("OpenVINO's CPU plugin could not be loaded", [] {
    const std::string processor = ov::Core().get_property(kDevice, ov::device::full_name);
    return std::string("OpenVINO ") + ov::get_openvino_version().buildNumber + " on " + processor;
  });
}

}  // namespace cardiacseg
