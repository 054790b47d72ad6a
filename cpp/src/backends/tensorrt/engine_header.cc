#include <algorithm>
#include <nlohmann/json.hpp>

#include "backends/tensorrt/engine_file.h"
#include "files/json_section.h"

namespace cardiacseg::tensorrt {
namespace {

using nlohmann::json;

constexpr NumberRule kExtent{"extents from 1 to 2^31 - 1", [](double value) { return value >= 1 && value < 0x1p31; }};
constexpr NumberRule kPlanBytes{"a number of bytes below 2^40",
                                [](double bytes) { return bytes >= 0 && bytes < 0x1p40; }};

json to_json(const EngineInput& input) {
  return {{"name", input.name}, {"smallest", input.smallest}, {"best", input.best}, {"largest", input.largest}};
}

EngineInput to_input(const Section& section) {
  return {section.text("name"), section.integers("smallest", kExtent), section.integers("best", kExtent),
          section.integers("largest", kExtent)};
}

EngineFacts to_facts(const Section& root) {
  EngineFacts facts;
  facts.model = root.text("model");
  facts.stage = root.text("stage");
  facts.onnx_sha256 = root.digest("onnx_sha256");
  facts.precision = root.text("precision");
  facts.plugin = root.flag("plugin");
  for (const Section& input : root.sections("inputs")) facts.inputs.push_back(to_input(input));
  facts.outputs = root.texts("outputs");
  return facts;
}

bool in_order(const EngineInput& input) {
  const std::size_t rank = input.smallest.size();
  if (rank == 0 || input.best.size() != rank || input.largest.size() != rank) return false;
  for (std::size_t axis = 0; axis < rank; ++axis) {
    if (input.smallest[axis] < 1 || input.best[axis] < input.smallest[axis]) return false;
    if (input.largest[axis] < input.best[axis]) return false;
  }
  return true;
}

bool is_one_of(const std::string& text, std::initializer_list<const char*> known) {
  return std::find(known.begin(), known.end(), text) != known.end();
}

}  // namespace

void check_facts(const EngineFacts& facts, const std::string& where, ErrorCode code) {
  const auto require = [&](bool sound, const std::string& expected, const std::string& found) {
    if (!sound) throw Error(code, where + ": expected " + expected + ", got " + shown(found));
  };
  require(!facts.model.empty(), "a model's name", facts.model);
  require(is_one_of(facts.stage, {"locate", "seg", "ref"}), "stage locate, seg or ref", facts.stage);
  require(facts.onnx_sha256.size() == 64, "the SHA-256 of an ONNX file", facts.onnx_sha256);
  require(is_one_of(facts.precision, {"fp16", "fp32"}), "precision fp16 or fp32", facts.precision);
  require(!facts.inputs.empty(), "an input or more", "none");
  require(!facts.outputs.empty(), "an output or more", "none");
  for (const EngineInput& input : facts.inputs) {
    require(in_order(input), "shapes of one rank with 1 <= smallest <= best <= largest", "input " + input.name);
  }
}

std::string header_text(const EngineInfo& info) {
  json inputs = json::array();
  for (const EngineInput& input : info.facts.inputs) inputs.push_back(to_json(input));
  const json header = {{"model", info.facts.model},
                       {"stage", info.facts.stage},
                       {"onnx_sha256", info.facts.onnx_sha256},
                       {"precision", info.facts.precision},
                       {"plugin", info.facts.plugin},
                       {"inputs", inputs},
                       {"outputs", info.facts.outputs},
                       {"flavour", info.flavour},
                       {"library_version", info.library_version},
                       {"version", info.version},
                       {"compute_capabilities", info.compute_capabilities},
                       {"gpu", info.gpu.empty() ? json() : json(info.gpu)},
                       {"verified_on", info.verified_on},
                       {"plan_bytes", info.plan_bytes},
                       {"plan_sha256", info.plan_sha256}};
  return header.dump(2, ' ', true, json::error_handler_t::replace);
}

EngineInfo parse_header(std::string_view text, const std::string& where) {
  const json document = parse_json(text, where, kHeaderLimit, ErrorCode::backend);
  const Section root(document, where, ErrorCode::backend);
  EngineInfo info;
  info.facts = to_facts(root);
  check_facts(info.facts, where, ErrorCode::backend);
  info.flavour = root.text("flavour");
  info.library_version = root.text("library_version");
  info.version = root.text("version");
  info.compute_capabilities = root.texts("compute_capabilities");
  if (!root.at("gpu", "a text or null").is_null()) info.gpu = root.text("gpu");
  info.verified_on = root.texts("verified_on");
  info.plan_bytes = static_cast<std::uint64_t>(root.integer("plan_bytes", kPlanBytes));
  info.plan_sha256 = root.digest("plan_sha256");
  return info;
}

}  // namespace cardiacseg::tensorrt
