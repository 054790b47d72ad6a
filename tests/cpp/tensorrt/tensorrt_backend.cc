#include "backends/tensorrt/tensorrt_backend.h"

#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "backends/tensorrt/engine_file.h"
#include "built_engine.h"
#include "expect_error.h"

namespace cardiacseg {
namespace {

using test::BuiltEngines;
using test::small_graph;
using test::small_plugin_graph;
using test::Variable;

std::unique_ptr<DeviceNetwork> load(const BuiltEngines& engines,
                                    const std::string& onnx = BuiltEngines::bundle_onnx()) {
  return make_tensorrt_backend({"tensorrt", engines.folder.path()})->load_on_device("seg", test::bytes_of(onnx));
}

long count(const std::string& text, const std::string& word) {
  long found = 0;
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++found;
  return found;
}

/// Writes the engine again with what `change` makes of its header.
template <class Change>
void rewrite(const EngineBuild& built, Change&& change) {
  tensorrt::EngineArtifact file = tensorrt::read_engine_file(built.path);
  change(file.info);
  tensorrt::write_engine_file(built.path, file.info, file.plan);
}

}  // namespace

/// First, while no library was opened.
TEST(TensorrtBackend, TensorrtIsNotOpenedIfNoEngineFits) {
  const BuiltEngines engines;
  const Variable option("CARDIACSEG_FAKE", "crashes");
  const std::string onnx = BuiltEngines::bundle_onnx();
  EXPECT_ERROR(find_engines({"tensorrt", engines.folder.path()}, {{"seg", test::bytes_of(onnx)}}), ErrorCode::backend,
               "network seg: no engine in ");
  EXPECT_ERROR(find_engines({"tensorrt", engines.folder.path()}, {}), ErrorCode::backend, "TensorRT: opening ");
}

TEST(TensorrtBackend, HeadersSayWhichEnginesWouldBeTaken) {
  const BuiltEngines engines;
  const EngineBuild built = engines.build();
  const std::string onnx = BuiltEngines::bundle_onnx();
  const StageFiles files{{"seg", test::bytes_of(onnx)}};
  const EngineChoice wanted{"tensorrt", engines.folder.path()};
  EXPECT_TRUE(find_engines(wanted, files).at(0).precision == "fp16" && !find_engines(wanted, files)[0].verified);
  EXPECT_ERROR(find_engines({"tensorrt", engines.folder.path(), "fp32"}, files), ErrorCode::backend,
               "computes in fp16, expected fp32");
  {
    const auto network = load(engines);
    std::filesystem::permissions(engines.folder.path(), std::filesystem::perms::owner_write,
                                 std::filesystem::perm_options::remove);
    network->mark_verified();
    EXPECT_TRUE(find_engines(wanted, files)[0].verified);
    std::filesystem::permissions(engines.folder.path(), std::filesystem::perms::owner_all);
  }
  tensorrt::note_verified(built.path, "Simulated GPU");
  engines.clear_calls();
  EXPECT_TRUE(find_engines(wanted, files)[0].verified && engines.calls().empty());
}

TEST(TensorrtBackend, NamesLibraryAndGpu) {
  const BuiltEngines engines;
  EXPECT_EQ(describe_tensorrt("tensorrt"), "TensorRT 10.16.0-fake on Simulated GPU (compute capability 8.0)");
  EXPECT_TRUE(describe_tensorrt("tensorrt_rtx").starts_with("TensorRT-RTX 10.16.0-fake on "));
  const auto backend = make_tensorrt_backend({"tensorrt", engines.folder.path()});
  EXPECT_TRUE(backend->name() == "tensorrt" && backend->memory() == MemorySpace::device);
}

TEST(TensorrtBackend, SaysWhatIsMissing) {
  const BuiltEngines engines;
  engines.build();
  {
    const Variable option("CARDIACSEG_FAKE", "no_library");
    EXPECT_ERROR(describe_tensorrt("tensorrt"), ErrorCode::backend, "TensorRT: expected libnvinfer.so.10, got");
    EXPECT_ERROR(make_tensorrt_backend({"tensorrt", {}}), ErrorCode::backend, "expected libnvinfer.so.10");
  }
  simulated_device_count = 0;
  EXPECT_ERROR(describe_tensorrt("tensorrt_rtx"), ErrorCode::backend,
               "TensorRT-RTX: no GPU answers (CUDA says: no CUDA-capable device is detected)");
  simulated_device_count = 1;
}

TEST(TensorrtBackend, LooksInTheUsualFolder) {
  const BuiltEngines engines;
  engines.build();
  const std::string onnx = BuiltEngines::bundle_onnx();
  const auto load_from = [&] { return make_tensorrt_backend({"tensorrt", {}})->load("seg", test::bytes_of(onnx)); };
  const Variable nowhere("CARDIACSEG_ENGINES", "/nowhere");
  EXPECT_ERROR(load_from(), ErrorCode::backend, "no engine in /nowhere fits");
  const Variable folder("CARDIACSEG_ENGINES", engines.folder.path().string());
  EXPECT_EQ(load_from()->outputs().size(), 2U);
}

TEST(TensorrtBackend, NetworksOfOneEngineShareIt) {
  const BuiltEngines engines;
  engines.build();
  {
    const auto first = load(engines);
    const auto second = load(engines);
    EXPECT_EQ(count(engines.calls(), "load "), 1);
  }
  load(engines);
  EXPECT_EQ(count(engines.calls(), "load "), 2);
}

TEST(TensorrtBackend, RebuiltEngineIsLoadedAgain) {
  const BuiltEngines engines;
  engines.build();
  const auto first = load(engines);
  build_engine(engines.request(small_graph()));
  EngineRequest wider = engines.request(small_graph());
  const std::string graph = small_graph();
  wider.onnx = test::bytes_of(graph);
  wider.facts.inputs[0].largest[0] = 6;
  build_engine(wider);
  EXPECT_TRUE(load(engines)->max_frames() == 6 && first->max_frames() == 4);
}

TEST(TensorrtBackend, EnginesOfOtherBundlesGpusAndLibrariesDoNotFit) {
  const BuiltEngines engines;
  const EngineBuild built = engines.build();
  EXPECT_ERROR(load(engines, "another file"), ErrorCode::backend, "fits: there is none for it; build one with");
  simulated_compute_capability_major = 9;
  EXPECT_ERROR(load(engines), ErrorCode::backend, "was built for compute capability 8.0, this GPU is 9.0");
  simulated_compute_capability_major = 8;
  rewrite(built, [](EngineInfo& info) { info.library_version = "10.3.0"; });
  EXPECT_ERROR(load(engines), ErrorCode::backend, "was built by version 10.3.0, the library here is 10.16.0-fake");
}

TEST(TensorrtBackend, EngineWithOtherTensorsThanItsHeaderIsRefused) {
  const BuiltEngines engines;
  const EngineBuild built = engines.build();
  rewrite(built, [](EngineInfo& info) { info.facts.outputs = {"logits"}; });
  EXPECT_ERROR(load(engines), ErrorCode::backend, "the engine's outputs are not those that its header lists");
}

TEST(TensorrtBackend, DamagedEngineIsRefused) {
  const BuiltEngines engines;
  const EngineBuild built = engines.build();
  std::string bytes = test::read_text(built.path);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  test::write_text(built.path, bytes);
  EXPECT_ERROR(load(engines), ErrorCode::backend, "expected a plan of SHA-256");
}

TEST(TensorrtBackend, UnreadablePlanIsRefused) {
  const BuiltEngines engines;
  const EngineBuild built = engines.build();
  const EngineInfo info = read_engine_info(built.path);
  tensorrt::write_engine_file(built.path, info, test::bytes_of("no plan"));
  EXPECT_ERROR(load(engines), ErrorCode::backend, "the fake cannot read the engine");
}

TEST(TensorrtBackend, OutputsComeInTheOrderOfTheHeader) {
  const BuiltEngines engines;
  const EngineBuild built = engines.build();
  rewrite(built, [](EngineInfo& info) { std::reverse(info.facts.outputs.begin(), info.facts.outputs.end()); });
  EXPECT_EQ(load(engines)->outputs(), std::vector<std::string>({"negated", "logits"}));
}

}  // namespace cardiacseg
