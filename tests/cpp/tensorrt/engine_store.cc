#include <gtest/gtest.h>

#include <string>

#include "backends/tensorrt/engine_file.h"
#include "expect_error.h"
#include "sample_engine.h"
#include "temporary_folder.h"

namespace cardiacseg::tensorrt {
namespace {

using test::sample_info;
using test::TemporaryFolder;
using test::Variable;

const EngineSpec kSpec{.network = "seg",
                       .onnx_sha256 = std::string(64, 'a'),
                       .flavor = "tensorrt",
                       .library_version = "10.16.0",
                       .compute_capability = "9.0",
                       .gpu = "NVIDIA H100"};

/// A folder of engines.
struct Store {
  TemporaryFolder folder;

  /// Adds the sample engine with what `change` makes of its header.
  template <class Change>
  void add(const std::string& name, Change&& change) {
    EngineInfo info = sample_info();
    change(info);
    write_engine_file(folder / (name + ".engine"), info, std::as_bytes(std::span(name)));
  }

  std::string found(const EngineSpec& spec = kSpec) const {
    return find_engine(folder.path(), spec).path.stem().string();
  }

  void refuses(const std::string& text, const EngineSpec& spec = kSpec) const {
    EXPECT_ERROR(found(spec), ErrorCode::backend, "network seg: no engine in " + folder.path().string() + " fits: ");
    EXPECT_ERROR(found(spec), ErrorCode::backend, text);
    EXPECT_ERROR(found(spec), ErrorCode::backend, "; build one with `cardiacseg build-engine BUNDLE --flavor");
  }
};

void unchanged(EngineInfo&) {}

}  // namespace

TEST(EngineStore, FileNameSaysWhatTheEngineIsFor) {
  EngineInfo info = sample_info();
  EXPECT_EQ(engine_file_name(info), "tiny-seg-tensorrt-10.16.0-fp16-sm90-aaaaaaaaaaaa.engine");
  info.facts.plugin = true;
  info.facts.model = "a model/of ../mine";
  EXPECT_EQ(engine_file_name(info), "a_model_of_.._mine-seg-tensorrt-10.16.0-fp16-plugin-sm90-aaaaaaaaaaaa.engine");
  info = sample_info();
  info.flavour = "tensorrt_rtx";
  info.compute_capabilities = {};
  EXPECT_EQ(engine_file_name(info), "tiny-seg-tensorrt_rtx-10.16.0-fp16-sm80+-aaaaaaaaaaaa.engine");
  info.compute_capabilities = {"8.6", "12.0"};
  EXPECT_EQ(engine_file_name(info), "tiny-seg-tensorrt_rtx-10.16.0-fp16-sm86-120-aaaaaaaaaaaa.engine");
}

TEST(EngineStore, FindsTheMatchingEngine) {
  Store store;
  store.add("another_network", [](EngineInfo& info) { info.facts.onnx_sha256 = std::string(64, 'b'); });
  store.add("another_gpu", [](EngineInfo& info) { info.compute_capabilities = {"8.6"}; });
  store.add("fits", unchanged);
  store.add("older_library", [](EngineInfo& info) { info.library_version = "10.3.0"; });
  test::write_text(store.folder / "notes.txt", "not an engine");
  test::write_text(store.folder / "broken.engine", "not an engine either");
  EXPECT_EQ(store.found(), "fits");
}

TEST(EngineStore, PrefersVerifiedThenHalfPrecisionThenNoPlugin) {
  Store store;
  const auto fp32 = [](EngineInfo& info) { info.facts.precision = "fp32"; };
  const auto plugin = [](EngineInfo& info) { info.facts.plugin = true; };
  store.add("a_fp32", fp32);
  EXPECT_EQ(store.found(), "a_fp32");
  store.add("b_fp16_plugin", plugin);
  EXPECT_EQ(store.found(), "b_fp16_plugin");
  store.add("c_fp16", unchanged);
  EXPECT_EQ(store.found(), "c_fp16");
  note_verified(store.folder / "b_fp16_plugin.engine", "NVIDIA L4");
  EXPECT_EQ(store.found(), "c_fp16");
  note_verified(store.folder / "a_fp32.engine", "NVIDIA H100");
  EXPECT_EQ(store.found(), "a_fp32");
  note_verified(store.folder / "b_fp16_plugin.engine", "NVIDIA H100");
  EXPECT_EQ(store.found(), "b_fp16_plugin");
  note_verified(store.folder / "c_fp16.engine", "NVIDIA H100");
  EXPECT_EQ(store.found(), "c_fp16");
}

TEST(EngineStore, MessageNamesTheDifferenceOfTheNearestEngine) {
  Store store;
  store.refuses("there is none for it");
  test::write_text(store.folder / "broken.engine", "not an engine");
  store.refuses("broken.engine: expected 16 bytes of an engine file's start, got 13");
  store.add("other_network", [](EngineInfo& info) { info.facts.onnx_sha256 = std::string(64, 'b'); });
  store.refuses("broken.engine");
  store.add("far", [](EngineInfo& info) {
    info.flavour = "tensorrt_rtx";
    info.compute_capabilities = {"8.6", "8.9"};
  });
  store.refuses(
      "far.engine is for tensorrt_rtx, expected tensorrt, was built for compute capability 8.6, 8.9, this "
      "GPU is 9.0");
  store.add("near", [](EngineInfo& info) { info.library_version = "10.3.0"; });
  store.refuses("near.engine was built by version 10.3.0, the library here is 10.16.0");
}

TEST(EngineStore, RequestedPrecisionTakesItsEnginesAlone) {
  Store store;
  store.add("half", unchanged);
  EngineSpec spec = kSpec;
  spec.precision = "fp32";
  store.refuses("half.engine computes in fp16, expected fp32", spec);
  store.refuses("BUNDLE --flavor tensorrt --precision fp32`", spec);
  store.add("whole", [](EngineInfo& info) { info.facts.precision = "fp32"; });
  EXPECT_EQ(store.found(spec), "whole");
  EXPECT_EQ(store.found(), "half");
}

TEST(EngineStore, CommandNamesTheFlavor) {
  Store store;
  EngineSpec spec = kSpec;
  store.refuses("BUNDLE --flavor tensorrt`", spec);
  spec.flavor = "tensorrt_rtx";
  store.refuses("BUNDLE --flavor rtx`", spec);
}

TEST(EngineStore, EngineForNoSpecificGpuRunsFrom80On) {
  Store store;
  store.add("any", [](EngineInfo& info) { info.compute_capabilities.clear(); });
  EngineSpec spec = kSpec;
  for (const char* capability : {"8.0", "8.9", "9.0", "12.0"}) {
    spec.compute_capability = capability;
    EXPECT_EQ(store.found(spec), "any");
  }
  spec.compute_capability = "7.5";
  store.refuses("was built for compute capability 8.0 and later, this GPU is 7.5", spec);
}

TEST(EngineStore, FolderIsTheFirstThatIsSet) {
  const Variable home("HOME", "/home/me");
  const Variable no_cache("XDG_CACHE_HOME", "");
  const Variable none("CARDIACSEG_ENGINES", "");
  EXPECT_EQ(engines_folder(), "/home/me/.cache/cardiacseg/engines");
  const Variable cache("XDG_CACHE_HOME", "/cache");
  EXPECT_EQ(engines_folder(), "/cache/cardiacseg/engines");
  const Variable chosen("CARDIACSEG_ENGINES", "/engines");
  EXPECT_EQ(engines_folder(), "/engines");
  EXPECT_EQ(engines_folder("mine"), "mine");
}

TEST(EngineStore, NoFolderWithoutAHome) {
  const Variable home("HOME", "");
  const Variable cache("XDG_CACHE_HOME", "");
  const Variable none("CARDIACSEG_ENGINES", "");
  EXPECT_ERROR(engines_folder(), ErrorCode::backend, "expected a folder of engines");
}

}  // namespace cardiacseg::tensorrt
