#include "backends/tensorrt/provider/engine_network.h"

#include <algorithm>
#include <utility>

#include "cardiacseg/error.h"
#include "cuda/copy.h"
#include "cuda/stream.h"

namespace cardiacseg::tensorrt {
namespace {

using Shape = std::vector<std::int64_t>;

/// "1..25 x 1..20 x 1 x 144 x 144"; a plain shape if both are the same.
std::string to_string(const Shape& smallest, const Shape& largest) {
  std::string text;
  for (std::size_t axis = 0; axis < smallest.size(); ++axis) {
    if (axis > 0) text += " x ";
    if (smallest[axis] != largest[axis]) text += std::to_string(smallest[axis]) + "..";
    text += std::to_string(largest[axis]);
  }
  return text;
}

bool contains(const EngineInput& range, const Shape& shape) {
  if (shape.size() != range.largest.size()) return false;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    if (shape[axis] < range.smallest[axis] || shape[axis] > range.largest[axis]) return false;
  }
  return true;
}

/// The result of `action`; a call of the CUDA runtime that fails in it becomes Error(backend), which starts with
/// `what`.
template <class Action>
auto with_cuda(const std::string& what, Action&& action) {
  try {
    return action();
  } catch (const cuda::CudaError& error) {
    throw Error(ErrorCode::backend, what + ": " + error.what());
  }
}

/// Device memory for the outputs in which every element is NaN.
std::vector<cuda::DeviceBuffer> make_outputs(std::span<const MutableTensorView> outputs, cudaStream_t stream) {
  std::vector<cuda::DeviceBuffer> buffers;
  for (const MutableTensorView& output : outputs) {
    buffers.emplace_back(output.values.size_bytes());
    cuda::fill(buffers.back().data(), 0xFF, output.values.size_bytes(), stream);
  }
  return buffers;
}

void run_on_device(DeviceExecution& execution, const TensorView& input, std::span<const MutableTensorView> outputs) {
  const cuda::Stream stream;
  const cuda::DeviceBuffer source(input.values.size_bytes());
  const cuda::DeviceBuffer scratch(execution.scratch_bytes());
  const std::vector<cuda::DeviceBuffer> results = make_outputs(outputs, stream.get());
  std::vector<float*> addresses;
  for (const cuda::DeviceBuffer& result : results) addresses.push_back(result.as<float>());
  execution.bind(source.as<float>(), addresses, scratch.data());
  cuda::upload(source.data(), input.values.data(), source.bytes(), stream.get());
  execution.enqueue(stream.get());
  for (std::size_t index = 0; index < results.size(); ++index) {
    cuda::download(outputs[index].values.data(), results[index].data(), results[index].bytes(), stream.get());
  }
  stream.synchronize();
}

std::vector<std::string> sorted(std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  return names;
}

void check_names(const EngineArtifact& artifact, const TensorNames& found) {
  const auto refuse = [&](const std::string& what) {
    throw Error(ErrorCode::backend, artifact.path.string() + ": " + what);
  };
  std::vector<std::string> inputs;
  for (const EngineInput& input : artifact.info.facts.inputs) inputs.push_back(input.name);
  const auto own = std::count_if(inputs.begin(), inputs.end(), [](const auto& name) { return name != kSliceStarts; });
  if (own != 1) refuse("expected one input, got " + std::to_string(own));
  if (sorted(inputs) != sorted(found.inputs)) refuse("the engine's inputs are not those that its header lists");
  if (sorted(artifact.info.facts.outputs) != sorted(found.outputs)) {
    refuse("the engine's outputs are not those that its header lists");
  }
}

}  // namespace

EngineNetwork::EngineNetwork(const EngineArtifact& artifact, const TensorNames& found)
    : path_(artifact.path), info_(artifact.info) {
  check_names(artifact, found);
}

void EngineNetwork::run(const TensorView& input, std::span<const MutableTensorView> outputs, const KeepGoing&) const {
  const std::unique_ptr<DeviceExecution> execution = prepare(input.shape);
  with_cuda("network " + info_.facts.stage + " could not be run", [&] { run_on_device(*execution, input, outputs); });
}

Precision EngineNetwork::precision() const {
  return info_.facts.precision == "fp16" ? Precision::float16 : Precision::float32;
}

std::unique_ptr<DeviceExecution> EngineNetwork::prepare(const Shape& shape) const {
  require_fit(shape);
  return with_cuda("network " + info_.facts.stage + " could not be made ready", [&] { return make_execution(shape); });
}

const EngineInput& EngineNetwork::input() const {
  const std::vector<EngineInput>& inputs = info_.facts.inputs;
  return *std::find_if(inputs.begin(), inputs.end(), [](const EngineInput& one) { return one.name != kSliceStarts; });
}

void EngineNetwork::require_fit(const Shape& shape) const {
  if (contains(input(), shape)) return;
  throw Error(ErrorCode::backend, "network " + info_.facts.stage + ": expected an input of " +
                                      to_string(input().smallest, input().largest) +
                                      " (frames, slices, channels, rows, columns), as its engine " + path_.string() +
                                      " was built for, got " + to_string(shape, shape) + "; " +
                                      build_command(info_.flavour) +
                                      ", --overwrite and wider --frames, --slices or --size");
}

cuda::DeviceBuffer upload_slice_starts(std::int64_t frames, std::int64_t slices) {
  std::vector<std::int32_t> starts;
  for (std::int64_t frame = 0; frame <= frames; ++frame) starts.push_back(static_cast<std::int32_t>(frame * slices));
  const std::size_t bytes = starts.size() * sizeof(std::int32_t);
  cuda::DeviceBuffer buffer(bytes);
  const cuda::Stream stream;
  cuda::upload(buffer.data(), starts.data(), bytes, stream.get());
  stream.synchronize();
  return buffer;
}

void require_addresses(std::size_t expected, std::span<float* const> outputs) {
  if (outputs.size() == expected) return;
  throw Error(ErrorCode::backend,
              "expected addresses of " + std::to_string(expected) + " outputs, got " + std::to_string(outputs.size()));
}

}  // namespace cardiacseg::tensorrt
