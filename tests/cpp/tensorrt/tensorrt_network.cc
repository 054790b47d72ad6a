#include <cuda_runtime.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "backends/tensorrt/tensorrt_backend.h"
#include "built_engine.h"
#include "check.h"
#include "cuda/buffer.h"
#include "cuda/copy.h"
#include "cuda/graph.h"
#include "cuda/stream.h"

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

TEST(a_network_says_what_its_engine_is) {
  const BuiltEngines engines;
  engines.build();
  const auto network = load(engines);
  CHECK(network->outputs() == std::vector<std::string>({"logits", "negated"}));
  CHECK(network->max_frames() == 4 && network->precision() == Precision::float16 && !network->verified());
}

TEST(an_execution_is_made_for_a_shape_bound_and_run) {
  const BuiltEngines engines;
  engines.build();
  const auto network = load(engines);
  const cuda::Stream stream;
  Bound bound(*network, 2, 3, voxels(2, 3));
  CHECK_THROWS_CODE((bound.execution->enqueue(stream.get()), 0), ErrorCode::backend, "to be bound before enqueue");
  const cuda::DeviceBuffer scratch(bound.execution->scratch_bytes());
  bound.bind(scratch.data());
  engines.clear_calls();
  bound.execution->enqueue(stream.get());
  bound.execution->enqueue(stream.get());
  CHECK(engines.calls() == "enqueue\nrun\nenqueue\nrun\n");
}

TEST(executions_on_one_scratch_give_what_they_should) {
  const BuiltEngines engines;
  engines.build();
  const auto network = load(engines);
  const cuda::Stream stream;
  Bound small(*network, 1, 2, voxels(1, 2));
  Bound large(*network, 4, 8, voxels(4, 8));
  CHECK(large.execution->scratch_bytes() > small.execution->scratch_bytes());
  const cuda::DeviceBuffer scratch(large.execution->scratch_bytes());
  const std::vector<float> image = ramp(large.count);
  const std::vector<float> few(image.begin(), image.begin() + static_cast<std::ptrdiff_t>(small.count));
  for (Bound* bound : {&small, &large}) bound->bind(scratch.data());
  small.upload(few, stream);
  large.upload(image, stream);
  large.execution->enqueue(stream.get());
  small.execution->enqueue(stream.get());
  CHECK(are_squares(large.download(large.logits, stream), image));
  CHECK(are_squares(small.download(small.logits, stream), few));
  const std::vector<float> negated = small.download(small.other, stream);
  CHECK(negated[0] == 1 && negated[1500] == -few[1500]);
}

TEST(slice_starts_are_filled_by_shape) {
  const BuiltEngines engines;
  engines.build(small_plugin_graph(), true);
  const auto network = load(engines);
  const cuda::Stream stream;
  Bound bound(*network, 3, 5, 4);
  const cuda::DeviceBuffer scratch(bound.execution->scratch_bytes());
  bound.bind(scratch.data());
  bound.execution->enqueue(stream.get());
  CHECK(bound.download(bound.other, stream) == std::vector<float>({0, 5, 10, 15}));
}

TEST(what_is_captured_runs_at_each_launch) {
  const BuiltEngines engines;
  engines.build();
  const auto network = load(engines);
  const cuda::Stream stream;
  Bound bound(*network, 1, 1, voxels(1, 1));
  const cuda::DeviceBuffer scratch(bound.execution->scratch_bytes());
  bound.bind(scratch.data());
  CHECK(bound.execution->capturable(stream.get()));
  bound.execution->enqueue(stream.get());
  engines.clear_calls();
  const cuda::Graph graph = cuda::Graph::capture(stream.get(), [&] { bound.execution->enqueue(stream.get()); });
  CHECK(engines.calls() == "enqueue\n");
  std::vector<float> image = ramp(bound.count);
  for (int round = 0; round < 2; ++round) {
    image[7] = static_cast<float>(round) + 10;
    bound.upload(image, stream);
    graph.launch(stream.get());
    CHECK(are_squares(bound.download(bound.logits, stream), image));
  }
  CHECK(engines.calls() == "enqueue\nrun\nrun\n");
}

TEST(a_context_may_refuse_to_be_captured) {
  const BuiltEngines engines;
  engines.build();
  const auto network = load(engines);
  const Variable option("CARDIACSEG_FAKE", "not_capturable");
  const cuda::Stream stream;
  CHECK(!network->prepare(image_shape(1, 1))->capturable(stream.get()));
}

TEST(a_shape_that_the_engine_was_not_built_for_is_refused) {
  const BuiltEngines engines;
  engines.build();
  const auto network = load(engines);
  const auto refuses = [&](const std::vector<std::int64_t>& shape, const std::string& text) {
    CHECK_THROWS_CODE(network->prepare(shape), ErrorCode::backend,
                      "network seg: expected an input of 1..4 x 1..8 x 1 x 32 x 32 (frames, slices, channels, rows, "
                      "columns), as its engine " +
                          engines.folder.path().string());
    CHECK_THROWS_CODE(network->prepare(shape), ErrorCode::backend, text);
  };
  refuses(image_shape(5, 1), "got 5 x 1 x 1 x 32 x 32; build one with `cardiacseg build-engine");
  refuses(image_shape(1, 9), "got 1 x 9 x");
  refuses(image_shape(0, 1), "got 0 x 1 x");
  refuses({1, 1, 1, 32}, "got 1 x 1 x 1 x 32;");
}

TEST(addresses_of_all_outputs_are_wanted) {
  const BuiltEngines engines;
  engines.build();
  const auto execution = load(engines)->prepare(image_shape(1, 1));
  const cuda::DeviceBuffer memory(voxels(1, 1) * sizeof(float));
  const std::vector<float*> one{memory.as<float>()};
  CHECK_THROWS_CODE(execution->bind(memory.as<float>(), one, memory.data()), ErrorCode::backend,
                    "expected addresses of 2 outputs, got 1");
}

TEST(run_takes_and_gives_host_memory) {
  const BuiltEngines engines;
  engines.build();
  const auto network = load(engines);
  const std::vector<float> image = ramp(voxels(2, 3));
  std::vector<float> logits(image.size());
  std::vector<float> negated(image.size());
  const std::vector<MutableTensorView> outputs{{logits, image_shape(2, 3)}, {negated, image_shape(2, 3)}};
  network->run({image, image_shape(2, 3)}, outputs, {});
  CHECK(are_squares(logits, image) && negated[5] == -image[5]);

  const Variable option("CARDIACSEG_FAKE", "unwritten");
  network->run({image, image_shape(2, 3)}, outputs, {});
  CHECK(std::isnan(logits.back()) && logits[0] == 1 && std::isnan(negated.back()));
}

TEST(verification_is_noted_in_the_file_and_for_all_that_share_the_engine) {
  const BuiltEngines engines;
  const EngineBuild built = engines.build();
  const auto first = load(engines);
  const auto second = load(engines);
  first->mark_verified();
  CHECK(first->verified() && second->verified());
  CHECK(read_engine_info(built.path).verified_on == std::vector<std::string>{"Simulated GPU"});
  CHECK(load(engines)->verified());
}

TEST(where_the_file_is_gone_verification_lives_as_long_as_the_engine) {
  const BuiltEngines engines;
  const EngineBuild built = engines.build();
  const auto network = load(engines);
  std::filesystem::remove(built.path);
  network->mark_verified();
  CHECK(network->verified() && !std::filesystem::exists(built.path));
}

}  // namespace cardiacseg
