#include "backends/tensorrt/tensorrt_backend.h"

#include <cuda_runtime.h>

#include <algorithm>
#include <string>

#include "backends/tensorrt/engine_file.h"
#include "built_engine.h"
#include "check.h"

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
TEST(where_no_engine_would_do_tensorrt_is_not_asked) {
  const BuiltEngines engines;
  const Variable option("CARDIACSEG_FAKE", "crashes");
  const std::string onnx = BuiltEngines::bundle_onnx();
  CHECK_THROWS_CODE(find_engines({"tensorrt", engines.folder.path()}, {{"seg", test::bytes_of(onnx)}}),
                    ErrorCode::backend, "network seg: no engine in ");
  CHECK_THROWS_CODE(find_engines({"tensorrt", engines.folder.path()}, {}), ErrorCode::backend, "TensorRT: opening ");
}

TEST(headers_say_which_engines_would_be_taken) {
  const BuiltEngines engines;
  const EngineBuild built = engines.build();
  const std::string onnx = BuiltEngines::bundle_onnx();
  const StageFiles files{{"seg", test::bytes_of(onnx)}};
  const EngineChoice wanted{"tensorrt", engines.folder.path()};
  CHECK(find_engines(wanted, files).at(0).precision == "fp16" && !find_engines(wanted, files)[0].verified);
  CHECK_THROWS_CODE(find_engines({"tensorrt", engines.folder.path(), "fp32"}, files), ErrorCode::backend,
                    "computes in fp16, expected fp32");
  {
    const auto network = load(engines);
    std::filesystem::permissions(engines.folder.path(), std::filesystem::perms::owner_write,
                                 std::filesystem::perm_options::remove);
    network->mark_verified();
    CHECK(find_engines(wanted, files)[0].verified);
    std::filesystem::permissions(engines.folder.path(), std::filesystem::perms::owner_all);
  }
  tensorrt::note_verified(built.path, "Simulated GPU");
  engines.clear_calls();
  CHECK(find_engines(wanted, files)[0].verified && engines.calls().empty());
}

TEST(a_backend_says_library_and_gpu) {
  const BuiltEngines engines;
  CHECK(describe_tensorrt("tensorrt") == "TensorRT 10.16.0-fake on Simulated GPU (compute capability 8.0)");
  CHECK(describe_tensorrt("tensorrt_rtx").starts_with("TensorRT-RTX 10.16.0-fake on "));
  const auto backend = make_tensorrt_backend({"tensorrt", engines.folder.path()});
  CHECK(backend->name() == "tensorrt" && backend->memory() == MemorySpace::device);
}

TEST(what_is_missing_is_said) {
  const BuiltEngines engines;
  engines.build();
  {
    const Variable option("CARDIACSEG_FAKE", "no_library");
    CHECK_THROWS_CODE(describe_tensorrt("tensorrt"), ErrorCode::backend, "TensorRT: expected libnvinfer.so.10, got");
    CHECK_THROWS_CODE(make_tensorrt_backend({"tensorrt", {}}), ErrorCode::backend, "expected libnvinfer.so.10");
  }
  simulated_device_count = 0;
  CHECK_THROWS_CODE(describe_tensorrt("tensorrt_rtx"), ErrorCode::backend,
                    "TensorRT-RTX: no GPU answers (CUDA says: no CUDA-capable device is detected)");
  simulated_device_count = 1;
}

TEST(engines_are_looked_for_in_the_usual_folder) {
  const BuiltEngines engines;
  engines.build();
  const std::string onnx = BuiltEngines::bundle_onnx();
  const auto load_from = [&] { return make_tensorrt_backend({"tensorrt", {}})->load("seg", test::bytes_of(onnx)); };
  const Variable nowhere("CARDIACSEG_ENGINES", "/nowhere");
  CHECK_THROWS_CODE(load_from(), ErrorCode::backend, "no engine in /nowhere fits");
  const Variable folder("CARDIACSEG_ENGINES", engines.folder.path().string());
  CHECK(load_from()->outputs().size() == 2);
}

TEST(networks_of_one_engine_share_it_while_they_live) {
  const BuiltEngines engines;
  engines.build();
  {
    const auto first = load(engines);
    const auto second = load(engines);
    CHECK(count(engines.calls(), "load ") == 1);
  }
  load(engines);
  CHECK(count(engines.calls(), "load ") == 2);
}

TEST(an_engine_that_was_built_anew_is_another_one) {
  const BuiltEngines engines;
  engines.build();
  const auto first = load(engines);
  build_engine(engines.request(small_graph()));
  EngineRequest wider = engines.request(small_graph());
  const std::string graph = small_graph();
  wider.onnx = test::bytes_of(graph);
  wider.facts.inputs[0].largest[0] = 6;
  build_engine(wider);
  CHECK(load(engines)->max_frames() == 6 && first->max_frames() == 4);
}

TEST(engines_of_other_bundles_gpus_and_libraries_do_not_fit) {
  const BuiltEngines engines;
  const EngineBuild built = engines.build();
  CHECK_THROWS_CODE(load(engines, "another file"), ErrorCode::backend, "fits: there is none for it; build one with");
  simulated_compute_capability_major = 9;
  CHECK_THROWS_CODE(load(engines), ErrorCode::backend, "was built for compute capability 8.0, this GPU is 9.0");
  simulated_compute_capability_major = 8;
  rewrite(built, [](EngineInfo& info) { info.library_version = "10.3.0"; });
  CHECK_THROWS_CODE(load(engines), ErrorCode::backend, "was built by version 10.3.0, the library here is 10.16.0-fake");
}

TEST(an_engine_whose_tensors_are_not_the_headers_is_refused) {
  const BuiltEngines engines;
  const EngineBuild built = engines.build();
  rewrite(built, [](EngineInfo& info) { info.facts.outputs = {"logits"}; });
  CHECK_THROWS_CODE(load(engines), ErrorCode::backend, "the engine's outputs are not those that its header lists");
}

TEST(a_damaged_engine_is_refused) {
  const BuiltEngines engines;
  const EngineBuild built = engines.build();
  std::string bytes = test::read_text(built.path);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  test::write_text(built.path, bytes);
  CHECK_THROWS_CODE(load(engines), ErrorCode::backend, "expected a plan of SHA-256");
}

TEST(a_plan_that_the_library_cannot_read_is_refused) {
  const BuiltEngines engines;
  const EngineBuild built = engines.build();
  const EngineInfo info = read_engine_info(built.path);
  tensorrt::write_engine_file(built.path, info, test::bytes_of("no plan"));
  CHECK_THROWS_CODE(load(engines), ErrorCode::backend, "the fake cannot read the engine");
}

TEST(outputs_come_in_the_order_of_the_header) {
  const BuiltEngines engines;
  const EngineBuild built = engines.build();
  rewrite(built, [](EngineInfo& info) { std::reverse(info.facts.outputs.begin(), info.facts.outputs.end()); });
  CHECK(load(engines)->outputs() == std::vector<std::string>({"negated", "logits"}));
}

}  // namespace cardiacseg
