// The plugin object without any TensorRT library: with headers alone, on the simulated GPU.

#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "backends/tensorrt/provider/engine.h"
#include "backends/tensorrt/provider/library.h"
#include "backends/tensorrt/provider/logger.h"
#include "backends/tensorrt/provider/progress.h"
#include "check.h"
#include "device_array.h"
#include "dimension_expressions.h"
#include "ops/slice_attention.h"
#include "plugin_object.h"

namespace cardiacseg {
namespace {

using nvinfer1::DataType;
using nvinfer1::TensorFormat;
using ops::Half;
using test::AttentionPlugin;
using test::Tensors;

constexpr std::int32_t kHeads = 2;
constexpr std::int64_t kPositions = 5;
constexpr std::int64_t kChannels = 32;
const std::vector<std::int32_t> kRagged{0, 1, 4, 4, 9};

template <class T>
constexpr bool kIsFloat = std::is_same_v<T, float>;

Tensors tensors_of(DataType type, std::int64_t slices, std::int64_t stacks, std::int64_t qkv = 3 * kChannels) {
  return {test::describe(type, {slices, kPositions, qkv}), test::describe(DataType::kINT32, {stacks + 1}),
          test::describe(type, {slices, kPositions, qkv / 3})};
}

template <class T>
struct Batch {
  explicit Batch(const std::vector<std::int32_t>& first) : cu_slices(first), slices(first.back()) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    values.resize(static_cast<std::size_t>(slices * kPositions * 3 * kChannels));
    for (T& value : values) value = ops::from_float<T>(normal(random));
  }

  Tensors tensors() const {
    return tensors_of(kIsFloat<T> ? DataType::kFLOAT : DataType::kHALF, slices,
                      static_cast<std::int64_t>(cu_slices.size()) - 1);
  }

  std::vector<T> on_host(bool across_slices) const {
    constexpr auto type = kIsFloat<T> ? ops::ScalarType::float32 : ops::ScalarType::float16;
    const ops::AttentionShape shape{static_cast<std::int64_t>(cu_slices.size()) - 1, slices, kPositions, kChannels,
                                    kHeads};
    std::vector<T> output(values.size() / 3);
    if (across_slices) ops::inter_slice_attention(type, values.data(), cu_slices.data(), shape, output.data());
    if (!across_slices) ops::intra_slice_attention(type, values.data(), shape, output.data());
    return output;
  }

  std::vector<std::int32_t> cu_slices;
  std::int64_t slices;
  std::vector<T> values;
};

template <class T>
std::vector<T> run(AttentionPlugin& plugin, const Batch<T>& batch, const std::vector<std::int32_t>& cu_slices) {
  const Tensors tensors = batch.tensors();
  const test::DeviceArray<T> qkv(batch.values);
  const test::DeviceArray<std::int32_t> first(cu_slices);
  const test::DeviceArray<T> output(batch.values.size() / 3);
  const test::DeviceArray<char> scratch(test::workspace(plugin, tensors));
  const void* const inputs[] = {qkv.data(), first.data()};
  void* const outputs[] = {output.data()};
  CHECK(plugin.enqueue(tensors.data(), &tensors[2], inputs, outputs, scratch.data(), nullptr) == 0);
  return output.values();
}

template <class T>
void check_same(const std::vector<T>& values, const std::vector<T>& wanted) {
  CHECK(values.size() == wanted.size() && !values.empty());
  for (std::size_t index = 0; index < values.size(); ++index) {
    CHECK_NEAR(ops::to_float(values[index]), ops::to_float(wanted[index]), kIsFloat<T> ? 1e-6 : 2e-3);
  }
}

template <class T>
void check_plugin(bool across_slices) {
  const Batch<T> batch(kRagged);
  const auto built = test::create(kHeads, across_slices ? 1 : 0);
  const auto plugin = test::restored(*built);
  CHECK(test::accepts(*plugin, batch.tensors()));
  check_same(run(*plugin, batch, kRagged), batch.on_host(across_slices));
  const std::unique_ptr<AttentionPlugin> clone(plugin->clone());
  check_same(run(*clone, batch, kRagged), batch.on_host(across_slices));
}

bool enqueues(AttentionPlugin& plugin, const Tensors& tensors) {
  const void* const inputs[] = {nullptr, nullptr};
  void* const outputs[] = {nullptr};
  return plugin.enqueue(tensors.data(), &tensors[2], inputs, outputs, nullptr, nullptr) == 0;
}

/// Refused when it is told the shapes and when it runs, with words that contain `text`.
void check_refused(const Tensors& tensors, const std::string& text) {
  const auto plugin = test::create(kHeads, 1);
  const std::uint64_t before = tensorrt::logger().count();
  CHECK(!test::accepts(*plugin, tensors));
  CHECK(!enqueues(*plugin, tensors));
  const std::string words = tensorrt::logger().since(before);
  test::report(words.find(text) != std::string::npos, words, __FILE__, __LINE__);
}

}  // namespace

TEST(inter_slice_attention_equals_the_host) {
  check_plugin<float>(true);
  check_plugin<Half>(true);
}

TEST(intra_slice_attention_equals_the_host) {
  check_plugin<float>(false);
  check_plugin<Half>(false);
}

TEST(while_an_engine_is_built_cu_slices_may_hold_anything) {
  const Batch<Half> batch({0, 2, 4, 6, 9});  // as even as can be
  const auto plugin = test::create(kHeads, 1);
  CHECK(test::workspace(*plugin, batch.tensors()) == 5 * sizeof(std::int32_t));
  check_same(run(*plugin, batch, {-7, 1 << 30, 5, -1 << 30, 3}), batch.on_host(true));
  CHECK(test::workspace(*test::restored(*plugin), batch.tensors()) == 0);
}

TEST(types_and_formats) {
  const auto plugin = test::create(kHeads, 1);
  for (const DataType type : {DataType::kFLOAT, DataType::kHALF}) {
    Tensors tensors = tensors_of(type, 4, 2);
    for (std::int32_t position = 0; position < 3; ++position) CHECK(test::supports(*plugin, position, tensors));
    tensors[2].type = type == DataType::kFLOAT ? DataType::kHALF : DataType::kFLOAT;
    CHECK(!test::supports(*plugin, 2, tensors));
    tensors[1].type = DataType::kFLOAT;
    CHECK(!test::supports(*plugin, 1, tensors));
    tensors[0].format = TensorFormat::kCHW32;
    CHECK(!test::supports(*plugin, 0, tensors));
    CHECK(!test::supports(*plugin, 3, tensors));
  }
  CHECK(!test::supports(*plugin, 0, tensors_of(DataType::kINT8, 4, 2)));
}

TEST(the_output_has_qkvs_type_and_a_third_of_its_channels) {
  test::Expressions expressions;
  nvinfer1::DimsExprs inputs[2]{};
  inputs[0].nbDims = 3;
  for (const std::int64_t extent : {9L, 5L, 96L}) {
    inputs[0].d[extent == 9 ? 0 : extent == 5 ? 1 : 2] = expressions.constant(static_cast<test::Extent>(extent));
  }
  const auto plugin = test::create(kHeads, 1);
  const DataType types[] = {DataType::kHALF, DataType::kINT32};
  nvinfer1::DimsExprs output{};
#if CARDIACSEG_TENSORRT_API >= 1000
  DataType type{};
  CHECK(plugin->getOutputShapes(inputs, 2, nullptr, 0, &output, 1, expressions) == 0);
  CHECK(plugin->getOutputDataTypes(&type, 1, types, 2) == 0);
#else
  output = plugin->getOutputDimensions(0, inputs, 2, expressions);
  const DataType type = plugin->getOutputDataType(0, types, 2);
#endif
  CHECK(type == DataType::kHALF && output.nbDims == 3 && plugin->getNbOutputs() == 1);
  CHECK(output.d[0]->getConstantValue() == 9 && output.d[1]->getConstantValue() == 5);
  CHECK(output.d[2]->getConstantValue() == 32);
}

TEST(shapes_that_do_not_fit_are_refused) {
  check_refused(tensors_of(DataType::kHALF, 4, 2, 96 + 3), "heads of 8, 16, 32 or 64 channels, got 99");
  check_refused(tensors_of(DataType::kHALF, 4, 2, 3 * 2 * 12), "got 72 channels");
  check_refused(tensors_of(DataType::kINT32, 4, 2), "expected float16 or float32");
  check_refused(tensors_of(DataType::kHALF, 0, 2), "extents of 1 or more");
  check_refused(tensors_of(DataType::kHALF, 4, 0), "got [4, 5, 96] and [1]");
  Tensors flat = tensors_of(DataType::kHALF, 4, 2);
  flat[0] = test::describe(DataType::kHALF, {20, 96});
  check_refused(flat, "expected qkv [slices, positions, 3 * channels]");
  Tensors floats = tensors_of(DataType::kHALF, 4, 2);
  floats[1] = test::describe(DataType::kFLOAT, {3});
  check_refused(floats, "expected int32");
}

TEST(addresses_that_no_kernel_takes_are_refused) {
  const std::uint64_t before = tensorrt::logger().count();
  const auto plugin = test::restored(*test::create(kHeads, 0));
  CHECK(!enqueues(*plugin, tensors_of(DataType::kHALF, 4, 2)));
  CHECK(tensorrt::logger().since(before).find("aligned to 16 bytes") != std::string::npos);
}

TEST(attributes) {
  CHECK(test::create(1, 0) != nullptr);
  CHECK(test::create(0, 1) == nullptr);
  CHECK(test::create(2, 2) == nullptr);
  CHECK(test::create({0, nullptr}) == nullptr);
  const float heads = 2;
  const nvinfer1::PluginField wrong{"heads", &heads, nvinfer1::PluginFieldType::kFLOAT32, 1};
  CHECK(test::create({1, &wrong}) == nullptr);
  tensorrt::AttentionPluginCreator creator;
  CHECK(std::string(creator.getPluginName()) == "SliceAttention" && std::string(creator.getPluginVersion()) == "1");
  CHECK(std::string(creator.getPluginNamespace()).empty() && creator.getFieldNames()->nbFields == 2);
}

#if CARDIACSEG_TENSORRT_API >= 1000
TEST(capabilities) {
  const auto plugin = test::create(kHeads, 1);
  const auto kind = [&](nvinfer1::PluginCapabilityType type) {
    return std::string(plugin->getCapabilityInterface(type)->getInterfaceInfo().kind);
  };
  CHECK(kind(nvinfer1::PluginCapabilityType::kCORE) == "PLUGIN_V3ONE_CORE");
  CHECK(kind(nvinfer1::PluginCapabilityType::kBUILD) == "PLUGIN_V3ONE_BUILD");
  CHECK(kind(nvinfer1::PluginCapabilityType::kRUNTIME) == "PLUGIN_V3ONE_RUNTIME");
}
#else
TEST(a_serialized_plugin_of_another_length_is_refused) {
  tensorrt::AttentionPluginCreator creator;
  const std::int32_t values[3] = {2, 1, 0};
  CHECK(creator.deserializePlugin("", values, sizeof values) == nullptr);
  CHECK(creator.deserializePlugin("", nullptr, 8) == nullptr);
}
#endif

TEST(errors_of_tensorrt_become_one_line) {
  tensorrt::logger().log(nvinfer1::ILogger::Severity::kERROR, "before");
  const tensorrt::Attempt attempt("cannot do it");
  tensorrt::logger().log(nvinfer1::ILogger::Severity::kWARNING, "a warning");
  CHECK(attempt.silent());
  CHECK_THROWS_CODE(attempt.expect(false), ErrorCode::backend, "cannot do it: it gave no reason");
  tensorrt::logger().log(nvinfer1::ILogger::Severity::kERROR, "[checkMacros.cpp::catchCudaError::250] no GPU");
  tensorrt::logger().log(nvinfer1::ILogger::Severity::kERROR, "the\ncause.");
  CHECK_THROWS_CODE(attempt.expect(false), ErrorCode::backend, "cannot do it: the cause");
  tensorrt::logger().note("what we know");
  CHECK_THROWS_CODE(attempt.expect(false), ErrorCode::backend, "cannot do it: what we know");
  CHECK(attempt.expect(7) == 7);
}

TEST(layers_of_nodes_that_stay_in_float32) {
  const std::vector<std::string> layers{"(Unnamed Layer* 0) [Shuffle]",
                                        "norm",
                                        "(Unnamed Layer* 2) [Reduce]",
                                        "norm_7",
                                        "norm_x",
                                        "(Unnamed Layer* 5) [Constant]",
                                        "normal",
                                        "head/Softmax"};
  const std::vector<bool> wanted{true, true, true, true, false, false, false, true};
  CHECK(tensorrt::layers_of_nodes(layers, {"norm", "head/Softmax", "absent"}) == wanted);
  CHECK(tensorrt::layers_of_nodes({}, {"norm"}).empty());
}

TEST(progress_of_many_threads_comes_one_at_a_time_until_the_caller_throws) {
  int told = 0;  // not atomic: the report has the lock
  const EngineProgress progress = [&told](const std::string&, int, int) {
    if (++told == 500) throw std::out_of_range("enough");
    return true;
  };
  tensorrt::BuildReport report(progress);
  std::vector<std::thread> threads;
  for (int number = 0; number < 4; ++number) {
    threads.emplace_back([&report] {
      while (report.tell("building", 1, 2)) {
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(told == 500);
  CHECK_THROWS((report.throw_if_stopped("seg"), 0), std::out_of_range, "enough");
}

#ifdef CARDIACSEG_PROGRESS_MONITOR
TEST(only_outermost_phases_are_told) {
  std::vector<std::string> told;
  const EngineProgress progress = [&told](const std::string& phase, int step, int steps) {
    told.push_back(phase + " " + std::to_string(step) + "/" + std::to_string(steps));
    return told.size() < 4;
  };
  tensorrt::BuildReport report(progress);
  report.phaseStart("outer", nullptr, 3);
  report.phaseStart("inner", "outer", 100);
  CHECK(report.stepComplete("inner", 5) && report.stepComplete("outer", 0) && report.stepComplete("outer", 9));
  report.phaseFinish("inner");
  report.phaseFinish("outer");
  CHECK(told == std::vector<std::string>({"outer 0/3", "outer 1/3", "outer 3/3", "outer 3/3"}));
  CHECK(!report.stepComplete("inner", 6));
  CHECK_THROWS_CODE((report.throw_if_stopped("seg"), 0), ErrorCode::cancelled, "building the engine seg was stopped");
}
#endif

TEST(versions) {
  CHECK(tensorrt::version_text(8503) == "8.5.3" && tensorrt::version_text(101602) == "10.16.2");
  CHECK(tensorrt::version_text(10701) == "1.7.1");
  const int unit = tensorrt::kMajor * 10000;
  const int header = unit + tensorrt::kMinor * 100;
  for (const int wrong : {header - 100, header + 10000, header - 10000}) {
    CHECK_THROWS_CODE(tensorrt::require_version(wrong), ErrorCode::backend, tensorrt::version_text(wrong));
  }
  tensorrt::require_version(header);
  tensorrt::require_version(unit + 9900);
}

}  // namespace cardiacseg
