#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "backends/tensorrt/tensorrt_backend.h"
#include "built_engine.h"
#include "cuda/buffer.h"
#include "cuda/copy.h"
#include "cuda/graph.h"
#include "cuda/stream.h"
#include "expect_error.h"

namespace cardiacseg {
namespace {

using test::BuiltEngines;
using test::small_plugin_graph;
using test::Variable;

std::unique_ptr<DeviceNetwork> load(const BuiltEngines& engines) {
  const std::string onnx = BuiltEngines::bundle_onnx();
  return make_tensorrt_backend({"tensorrt", engines.folder.path()})->load_on_device("seg", test::bytes_of(onnx));
}

std::vector<std::int64_t> image_shape(std::int64_t frames, std::int64_t slices) { return {frames, slices, 1, 32, 32}; }

std::size_t voxels(std::int64_t frames, std::int64_t slices) {
  return static_cast<std::size_t>(frames * slices * 1024);
}

/// -1, 0, 1, 2, ... in thousandths.
std::vector<float> ramp(std::size_t count) {
  std::vector<float> values(count);
  for (std::size_t index = 0; index < count; ++index) values[index] = static_cast<float>(index) / 1000 - 1;
  return values;
}

/// An execution with memory of its own for input and outputs.
struct Bound {
  Bound(const DeviceNetwork& network, std::int64_t frames, std::int64_t slices, std::size_t second)
      : count(voxels(frames, slices)),
        execution(network.prepare(image_shape(frames, slices))),
        input(count * sizeof(float)),
        logits(count * sizeof(float)),
        other(second * sizeof(float)) {}

  void bind(void* scratch) {
    const std::vector<float*> outputs{logits.as<float>(), other.as<float>()};
    execution->bind(input.as<float>(), outputs, scratch);
  }

  void upload(const std::vector<float>& image, const cuda::Stream& stream) {
    cuda::upload(input.data(), image.data(), input.bytes(), stream.get());
  }

  std::vector<float> download(const cuda::DeviceBuffer& buffer, const cuda::Stream& stream) const {
    std::vector<float> values(buffer.bytes() / sizeof(float));
    cuda::download(values.data(), buffer.data(), buffer.bytes(), stream.get());
    stream.synchronize();
    return values;
  }

  std::size_t count;
  std::unique_ptr<DeviceExecution> execution;
  cuda::DeviceBuffer input;
  cuda::DeviceBuffer logits;
  cuda::DeviceBuffer other;
};

bool are_squares(const std::vector<float>& values, const std::vector<float>& image) {
  return std::equal(values.begin(), values.end(), image.begin(), image.end(),
                    [](float value, float pixel) { return value == pixel * pixel; });
}

}  // namespace

TEST(TensorrtNetwork, NetworkDescribesItsEngine) {
  const BuiltEngines engines;
  engines.build();
  const auto network = load(engines);
  EXPECT_EQ(network->outputs(), std::vector<std::string>({"logits", "negated"}));
  EXPECT_TRUE(network->max_frames() == 4 && network->precision() == Precision::float16 && !network->verified());
}

TEST(TensorrtNetwork, ExecutionIsMadeForAShapeBoundAndRun) {
  const BuiltEngines engines;
  engines.build();
  const auto network = load(engines);
  const cuda::Stream stream;
  Bound bound(*network, 2, 3, voxels(2, 3));
  EXPECT_ERROR((bound.execution->enqueue(stream.get()), 0), ErrorCode::backend, "to be bound before enqueue");
  const cuda::DeviceBuffer scratch(bound.execution->scratch_bytes());
  bound.bind(scratch.data());
  engines.clear_calls();
  bound.execution->enqueue(stream.get());
  bound.execution->enqueue(stream.get());
  EXPECT_EQ(engines.calls(), "enqueue\nrun\nenqueue\nrun\n");
}

TEST(TensorrtNetwork, ExecutionsMayShareScratchMemory) {
  const BuiltEngines engines;
  engines.build();
  const auto network = load(engines);
  const cuda::Stream stream;
  Bound small(*network, 1, 2, voxels(1, 2));
  Bound large(*network, 4, 8, voxels(4, 8));
  EXPECT_TRUE(large.execution->scratch_bytes() > small.execution->scratch_bytes());
  const cuda::DeviceBuffer scratch(large.execution->scratch_bytes());
  const std::vector<float> image = ramp(large.count);
  const std::vector<float> few(image.begin(), image.begin() + static_cast<std::ptrdiff_t>(small.count));
  for (Bound* bound : {&small, &large}) bound->bind(scratch.data());
  small.upload(few, stream);
  large.upload(image, stream);
  large.execution->enqueue(stream.get());
  small.execution->enqueue(stream.get());
  EXPECT_TRUE(are_squares(large.download(large.logits, stream), image));
  EXPECT_TRUE(are_squares(small.download(small.logits, stream), few));
  const std::vector<float> negated = small.download(small.other, stream);
  EXPECT_EQ(negated[0], 1);
  EXPECT_EQ(negated[1500], -few[1500]);
}

TEST(TensorrtNetwork, SliceStartsAreFilledByShape) {
  const BuiltEngines engines;
  engines.build(small_plugin_graph(), true);
  const auto network = load(engines);
  const cuda::Stream stream;
  Bound bound(*network, 3, 5, 4);
  const cuda::DeviceBuffer scratch(bound.execution->scratch_bytes());
  bound.bind(scratch.data());
  bound.execution->enqueue(stream.get());
  EXPECT_EQ(bound.download(bound.other, stream), std::vector<float>({0, 5, 10, 15}));
}

TEST(TensorrtNetwork, CapturedWorkRunsAtEachLaunch) {
  const BuiltEngines engines;
  engines.build();
  const auto network = load(engines);
  const cuda::Stream stream;
  Bound bound(*network, 1, 1, voxels(1, 1));
  const cuda::DeviceBuffer scratch(bound.execution->scratch_bytes());
  bound.bind(scratch.data());
  EXPECT_TRUE(bound.execution->capturable(stream.get()));
  bound.execution->enqueue(stream.get());
  engines.clear_calls();
  const cuda::Graph graph = cuda::Graph::capture(stream.get(), [&] { bound.execution->enqueue(stream.get()); });
  EXPECT_EQ(engines.calls(), "enqueue\n");
  std::vector<float> image = ramp(bound.count);
  for (int round = 0; round < 2; ++round) {
    image[7] = static_cast<float>(round) + 10;
    bound.upload(image, stream);
    graph.launch(stream.get());
    EXPECT_TRUE(are_squares(bound.download(bound.logits, stream), image));
  }
  EXPECT_EQ(engines.calls(), "enqueue\nrun\nrun\n");
}

TEST(TensorrtNetwork, ContextMayRefuseCapture) {
  const BuiltEngines engines;
  engines.build();
  const auto network = load(engines);
  const Variable option("CARDIACSEG_FAKE", "not_capturable");
  const cuda::Stream stream;
  EXPECT_FALSE(network->prepare(image_shape(1, 1))->capturable(stream.get()));
}

TEST(TensorrtNetwork, ShapeOutsideTheEnginesRangeIsRefused) {
  const BuiltEngines engines;
  engines.build();
  const auto network = load(engines);
  const auto refuses = [&](const std::vector<std::int64_t>& shape, const std::string& text) {
    EXPECT_ERROR(network->prepare(shape), ErrorCode::backend,
                 "network seg: expected an input of 1..4 x 1..8 x 1 x 32 x 32 (frames, slices, channels, rows, "
                 "columns), as its engine " +
                     engines.folder.path().string());
    EXPECT_ERROR(network->prepare(shape), ErrorCode::backend, text);
  };
  refuses(image_shape(5, 1), "got 5 x 1 x 1 x 32 x 32; build one with `cardiacseg build-engine");
  refuses(image_shape(1, 9), "got 1 x 9 x");
  refuses(image_shape(0, 1), "got 0 x 1 x");
  refuses({1, 1, 1, 32}, "got 1 x 1 x 1 x 32;");
}

TEST(TensorrtNetwork, AddressesOfAllOutputsAreRequired) {
  const BuiltEngines engines;
  engines.build();
  const auto execution = load(engines)->prepare(image_shape(1, 1));
  const cuda::DeviceBuffer memory(voxels(1, 1) * sizeof(float));
  const std::vector<float*> one{memory.as<float>()};
  EXPECT_ERROR(execution->bind(memory.as<float>(), one, memory.data()), ErrorCode::backend,
               "expected addresses of 2 outputs, got 1");
}

TEST(TensorrtNetwork, RunTakesAndGivesHostMemory) {
  const BuiltEngines engines;
  engines.build();
  const auto network = load(engines);
  const std::vector<float> image = ramp(voxels(2, 3));
  std::vector<float> logits(image.size());
  std::vector<float> negated(image.size());
  const std::vector<MutableTensorView> outputs{{logits, image_shape(2, 3)}, {negated, image_shape(2, 3)}};
  network->run({image, image_shape(2, 3)}, outputs, {});
  EXPECT_TRUE(are_squares(logits, image) && negated[5] == -image[5]);

  const Variable option("CARDIACSEG_FAKE", "unwritten");
  network->run({image, image_shape(2, 3)}, outputs, {});
  EXPECT_TRUE(std::isnan(logits.back()) && logits[0] == 1 && std::isnan(negated.back()));
}

TEST(TensorrtNetwork, VerificationIsNotedInTheFileAndInAllNetworks) {
  const BuiltEngines engines;
  const EngineBuild built = engines.build();
  const auto first = load(engines);
  const auto second = load(engines);
  first->mark_verified();
  EXPECT_TRUE(first->verified() && second->verified());
  EXPECT_EQ(read_engine_info(built.path).verified_on, std::vector<std::string>{"Simulated GPU"});
  EXPECT_TRUE(load(engines)->verified());
}

TEST(TensorrtNetwork, VerificationOfARemovedFileLivesAsLongAsTheEngine) {
  const BuiltEngines engines;
  const EngineBuild built = engines.build();
  const auto network = load(engines);
  std::filesystem::remove(built.path);
  network->mark_verified();
  EXPECT_TRUE(network->verified() && !std::filesystem::exists(built.path));
}

}  // namespace cardiacseg
