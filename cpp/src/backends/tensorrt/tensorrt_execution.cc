#include "backends/tensorrt/tensorrt_execution.h"

#include <string>
#include <utility>

#include "cardiacseg/error.h"
#include "cuda/copy.h"
#include "cuda/stream.h"

namespace cardiacseg::tensorrt {
namespace {

/// 0, S, 2S, ... for `frames` stacks of S slices, in device memory.
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

}  // namespace

TensorRtExecution::TensorRtExecution(std::shared_ptr<const LoadedEngine> engine, const std::vector<std::int64_t>& shape)
    : engine_(std::move(engine)), context_(engine_->engine->make_context()) {
  context_->set_input_shape(engine_->input, shape);
  if (engine_->slice_starts) {
    slice_starts_ = upload_slice_starts(shape[0], shape[1]);
    context_->set_input_shape(kSliceStarts, {shape[0] + 1});
  }
  scratch_bytes_ = context_->scratch_bytes();
}

void TensorRtExecution::bind(const float* input, std::span<float* const> outputs, void* scratch) {
  const std::vector<std::string>& names = engine_->info.facts.outputs;
  if (outputs.size() != names.size()) {
    throw Error(ErrorCode::backend, "wanted addresses of " + std::to_string(names.size()) + " outputs, got " +
                                        std::to_string(outputs.size()));
  }
  context_->set_scratch(scratch, scratch_bytes_);
  // TensorRT takes all addresses alike; it reads inputs alone.
  context_->set_address(engine_->input, const_cast<float*>(input));
  if (engine_->slice_starts) context_->set_address(kSliceStarts, slice_starts_.data());
  for (std::size_t index = 0; index < names.size(); ++index) context_->set_address(names[index], outputs[index]);
}

}  // namespace cardiacseg::tensorrt
