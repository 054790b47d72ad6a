#include "backends/openvino/openvino_backend.h"

#include <openvino/openvino.hpp>
#include <utility>

#include "backends/openvino/openvino_error.h"
#include "backends/openvino/openvino_network.h"

namespace cardiacseg {
namespace {

constexpr const char* kDevice = "CPU";

ov::AnyMap compile_options(int threads) {
  ov::AnyMap options{
      // Processors with bfloat16 units would otherwise compute in it, and labels would depend on the machine.
      ov::hint::inference_precision(ov::element::f32),
      ov::num_streams(1),
      // Pinned threads of two processes would sit on the same cores.
      ov::hint::enable_cpu_pinning(false),
  };
  if (threads > 0) options.insert(ov::inference_num_threads(threads));
  return options;
}

class OpenVinoBackend : public Backend {
 public:
  explicit OpenVinoBackend(int threads)
      : core_(translate_errors("OpenVINO could not start", [] { return ov::Core(); })),
        options_(compile_options(threads)) {
    translate_errors("OpenVINO's CPU plugin could not be loaded",
                     [&] { core_.get_property(kDevice, ov::device::full_name); });
  }

  std::string name() const override { return "openvino"; }

  MemorySpace memory() const override { return MemorySpace::host; }

  /// One: a batch of frames would save nothing here, and so no label can depend on the frames beside it.
  std::int64_t frames_per_call(std::int64_t) const override { return 1; }

  std::unique_ptr<Network> load(const std::string& name, std::span<const std::byte> onnx) const override {
    return std::make_unique<OpenVinoNetwork>(core_, name, onnx, options_);
  }

 private:
  ov::Core core_;
  ov::AnyMap options_;
};

}  // namespace

std::unique_ptr<Backend> make_openvino_backend(int threads) { return std::make_unique<OpenVinoBackend>(threads); }

std::string describe_openvino() {
  return translate_errors("OpenVINO's CPU plugin could not be loaded", [] {
    const std::string processor = ov::Core().get_property(kDevice, ov::device::full_name);
    return std::string("OpenVINO ") + ov::get_openvino_version().buildNumber + " on " + processor;
  });
}

}  // namespace cardiacseg
