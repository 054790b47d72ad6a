#include "backends/tensorrt/tensorrt_network.h"

#include <utility>

#include "backends/tensorrt/cuda_calls.h"
#include "backends/tensorrt/engine_file.h"
#include "backends/tensorrt/tensorrt_execution.h"
#include "cuda/buffer.h"
#include "cuda/copy.h"
#include "cuda/stream.h"

namespace cardiacseg::tensorrt {
namespace {

using Shape = std::vector<std::int64_t>;

std::string extent_text(std::int64_t smallest, std::int64_t largest) {
  return smallest == largest ? std::to_string(largest) : std::to_string(smallest) + ".." + std::to_string(largest);
}

/// "1..25 x 1..20 x 1 x 144 x 144"; a plain shape where both are the same.
std::string to_string(const Shape& smallest, const Shape& largest) {
  std::string text;
  for (std::size_t axis = 0; axis < smallest.size(); ++axis) {
    if (axis > 0) text += " x ";
    text += extent_text(smallest[axis], largest[axis]);
  }
  return text;
}

bool contains(const ShapeRange& range, const Shape& shape) {
  if (shape.size() != range.largest.size()) return false;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    if (shape[axis] < range.smallest[axis] || shape[axis] > range.largest[axis]) return false;
  }
  return true;
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

}  // namespace

TensorRtNetwork::TensorRtNetwork(std::string name, std::shared_ptr<LoadedEngine> engine)
    : name_(std::move(name)), engine_(std::move(engine)) {}

void TensorRtNetwork::run(const TensorView& input, std::span<const MutableTensorView> outputs, const KeepGoing&) const {
  const std::unique_ptr<DeviceExecution> execution = prepare(input.shape);
  with_cuda("network " + name_ + " could not be run", [&] { run_on_device(*execution, input, outputs); });
}

Precision TensorRtNetwork::precision() const {
  return engine_->info.facts.precision == "fp16" ? Precision::float16 : Precision::float32;
}

void TensorRtNetwork::mark_verified() const {
  engine_->verified = true;
  try {
    note_verified(engine_->path, engine_->gpu);
  } catch (const Error&) {
    // A folder that may not be written: the note lives as long as the engine.
  }
}

std::unique_ptr<DeviceExecution> TensorRtNetwork::prepare(const Shape& shape) const {
  require_fit(shape);
  return with_cuda("network " + name_ + " could not be made ready",
                   [&] { return std::make_unique<TensorRtExecution>(engine_, shape); });
}

void TensorRtNetwork::require_fit(const Shape& shape) const {
  const ShapeRange& range = engine_->range;
  if (contains(range, shape)) return;
  throw Error(ErrorCode::backend,
              "network " + name_ + ": wanted an input of " + to_string(range.smallest, range.largest) +
                  " (frames, slices, channels, rows, columns), as its engine " + engine_->path.string() +
                  " was built for, got " + to_string(shape, shape) + "; " + build_command(engine_->info.flavour) +
                  ", --overwrite and wider --frames, --slices or --size");
}

}  // namespace cardiacseg::tensorrt
