#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "backends/tensorrt/engine_file.h"
#include "backends/tensorrt/provider_library.h"
#include "built_engine.h"
#include "expect_error.h"

namespace cardiacseg {
namespace {

using test::BuiltEngines;
using test::small_graph;
using test::small_plugin_graph;
using test::Variable;

std::vector<std::byte> copy_of(const std::string& text) {
  const auto bytes = test::bytes_of(text);
  return {bytes.begin(), bytes.end()};
}

}  // namespace

TEST(EngineBuild, BuildsForTheGpuAtHand) {
  const BuiltEngines engines;
  const EngineBuild built = engines.build();
  EXPECT_EQ(built.path.parent_path(), engines.folder.path());
  EXPECT_TRUE(built.path.filename().string().starts_with("tiny-seg-tensorrt-10.16.0_fake-fp16-sm80-"));
  const EngineInfo info = read_engine_info(built.path);
  EXPECT_TRUE(info.plan_sha256 == built.info.plan_sha256 && info.plan_bytes > small_graph().size());
  EXPECT_EQ(info.gpu, "Simulated GPU");
  EXPECT_EQ(info.compute_capabilities, std::vector<std::string>{"8.0"});
  EXPECT_EQ(info.flavour, "tensorrt");
  EXPECT_EQ(info.library_version, "10.16.0-fake");
  EXPECT_TRUE(info.verified_on.empty());
  EXPECT_EQ(info.facts.outputs, std::vector<std::string>({"logits", "negated"}));
  EXPECT_EQ(tensorrt::read_engine_file(built.path).plan.size(), info.plan_bytes);
}

TEST(EngineBuild, RtxBuildsForTheRequestedGpusWithoutOne) {
  const BuiltEngines engines;
  EngineRequest request = engines.request(small_graph());
  const std::string graph = small_graph();
  request.onnx = test::bytes_of(graph);
  request.flavour = "tensorrt_rtx";
  request.compute_capabilities = {"8.6", "12.0"};
  simulated_device_count = 0;
  const EngineInfo info = build_engine(request).info;
  request.flavour = "tensorrt";
  request.compute_capabilities = {};
  EXPECT_ERROR(build_engine(request), ErrorCode::backend, "no GPU answers");
  simulated_device_count = 1;
  EXPECT_TRUE(info.gpu.empty());
  EXPECT_EQ(info.compute_capabilities, std::vector<std::string>({"8.6", "12.0"}));
}

TEST(EngineBuild, TimingCacheAndInspectionComeBack) {
  const BuiltEngines engines;
  const std::string graph = small_graph();
  EngineRequest request = engines.request(graph);
  EXPECT_TRUE(build_engine(request).inspection.empty());
  const std::vector<std::byte> cache = copy_of("timings of earlier builds");
  request.timing_cache = cache;
  request.inspect = true;
  const EngineBuild built = build_engine(request);
  EXPECT_EQ(built.timing_cache, copy_of("timings of tiny seg"));
  EXPECT_NE(built.inspection.find("\"Multiply\""), std::string::npos);
  EXPECT_EQ(engines.calls(), "build tiny seg fp16 timing_cache 0\nbuild tiny seg fp16 timing_cache " +
                                 std::to_string(cache.size()) + "\n");
}

TEST(EngineBuild, ProgressIsReportedAndCanStopTheBuild) {
  const BuiltEngines engines;
  const std::string graph = small_graph();
  std::set<std::string> phases;
  build_engine(engines.request(graph), [&](const std::string& phase, int step, int steps) {
    phases.insert(phase);
    EXPECT_GE(step, 0);
    EXPECT_LE(step, steps);
    return true;
  });
  EXPECT_EQ(phases, (std::set<std::string>{"reading the graph", "building"}));
  const test::TemporaryFolder empty;
  EngineRequest request = engines.request(graph);
  request.folder = empty.path();
  EXPECT_ERROR(build_engine(request, [](const std::string&, int, int) { return false; }), ErrorCode::cancelled,
               "stopped");
  EXPECT_TRUE(std::filesystem::is_empty(empty.path()));
}

TEST(EngineBuild, WrongRequestsAreRefused) {
  const BuiltEngines engines;
  const std::string graph = small_graph();
  const auto refuses = [&](ErrorCode code, const std::string& text, auto&& change) {
    EngineRequest request = engines.request(graph);
    change(request);
    EXPECT_ERROR(build_engine(request), code, text);
  };
  const auto invalid = ErrorCode::invalid_input;
  refuses(invalid, "expected stage locate, seg or ref, got \"gap\"", [](auto& r) { r.facts.stage = "gap"; });
  refuses(invalid, "expected precision fp16 or fp32", [](auto& r) { r.facts.precision = "int8"; });
  refuses(invalid, "expected an output or more", [](auto& r) { r.facts.outputs.clear(); });
  refuses(invalid, "smallest <= best <= largest", [](auto& r) { r.facts.inputs[0].best[0] = 9; });
  refuses(invalid, "expected a graph, got none", [](auto& r) { r.onnx = {}; });
  refuses(invalid, "flavour must be", [](auto& r) { r.flavour = "rtx"; });
  refuses(invalid, "can be chosen for tensorrt_rtx alone", [](auto& r) { r.compute_capabilities = {"8.6"}; });
  refuses(ErrorCode::backend, "a range for each input", [](auto& r) { r.facts.inputs[0].name = "picture"; });
  refuses(ErrorCode::backend, "a graph that can be read", [](auto& r) { r.onnx = r.onnx.first(40); });
}

TEST(EngineBuild, ProvidersAreListedWithWhatTheyCanOrLack) {
  const Variable providers("CARDIACSEG_PROVIDERS", PROVIDERS);
  tensorrt::opened_provider("tensorrt");  // else a child opens it, and what it found once is kept
  const std::vector<EngineProvider> all = list_providers();
  EXPECT_TRUE(all.size() == 2 && all[0].flavour == "tensorrt" && all[1].flavour == "tensorrt_rtx");
  EXPECT_TRUE(all[0].available && all[0].library_version == "10.16.0-fake" && all[0].strongly_typed);
  EXPECT_EQ(all[0].largest_opset, 20);
  EXPECT_NE(all[0].reason.find("10.16.0-fake"), std::string::npos);
  const Variable option("CARDIACSEG_FAKE", "no_library");
  EXPECT_FALSE(list_providers()[0].available);
  EXPECT_EQ(list_providers()[0].reason, "expected libnvinfer.so.10, got none");
}

}  // namespace cardiacseg
