#pragma once

#include <string>
#include <vector>

#include "cardiacseg/engines.h"
#include "files/sha256.h"
#include "sample_engine.h"
#include "small_graph.h"
#include "temporary_folder.h"

namespace cardiacseg::test {

/// A folder with engines that the fake provider built, and a log of what it was asked to do since.
struct BuiltEngines {
  TemporaryFolder folder;
  Variable providers{"CARDIACSEG_PROVIDERS", PROVIDERS};
  Variable log{"CARDIACSEG_FAKE_LOG", (folder / "log").string()};

  static std::string bundle_onnx() { return "the bundle's own file"; }

  EngineRequest request(const std::string& graph, bool plugin = false) const {
    EngineRequest wanted;
    wanted.folder = folder.path();
    wanted.facts = sample_facts();
    wanted.facts.onnx_sha256 = sha256(bytes_of(bundle_onnx()));
    wanted.facts.plugin = plugin;
    wanted.facts.outputs = {"logits", plugin ? "starts" : "negated"};
    if (plugin) wanted.facts.inputs.push_back({"cu_slices", {2}, {2}, {5}});
    wanted.onnx = bytes_of(graph);
    return wanted;
  }

  /// Builds one, and begins a new log.
  EngineBuild build(const std::string& graph = small_graph(), bool plugin = false) const {
    EngineBuild built = build_engine(request(graph, plugin));
    clear_calls();
    return built;
  }

  std::string calls() const { return read_text(folder / "log"); }
  void clear_calls() const { write_text(folder / "log", ""); }
};

}  // namespace cardiacseg::test
