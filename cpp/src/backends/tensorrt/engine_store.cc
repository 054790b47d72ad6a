#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include "backends/tensorrt/engine_file.h"
#include "cardiacseg/error.h"
#include "files/blob_store.h"
#include "text.h"

namespace cardiacseg {
namespace tensorrt {
namespace {

namespace fs = std::filesystem;

/// "12.0" as 120; 0 for what is no compute capability.
int number_of(const std::string& capability) {
  const auto digits = [](char c) { return c == '.' || (c >= '0' && c <= '9'); };
  const std::size_t dot = capability.find('.');
  if (dot == 0 || dot > 3 || dot + 2 != capability.size()) return 0;
  if (!std::all_of(capability.begin(), capability.end(), digits) || capability.back() == '.') return 0;
  return std::stoi(capability) * 10 + (capability.back() - '0');
}

bool runs_on(const EngineInfo& info, const std::string& capability) {
  const std::vector<std::string>& built = info.compute_capabilities;
  if (built.empty()) return number_of(capability) >= 80;
  return std::find(built.begin(), built.end(), capability) != built.end();
}

/// What keeps an engine for the right ONNX file from being used, the gravest first.
std::vector<std::string> differences(const EngineInfo& info, const EngineSpec& spec) {
  std::vector<std::string> all;
  if (info.flavour != spec.flavor) all.push_back("is for " + info.flavour + ", expected " + spec.flavor);
  if (!runs_on(info, spec.compute_capability)) {
    const std::string built =
        info.compute_capabilities.empty() ? "8.0 and later" : joined(info.compute_capabilities, ", ");
    all.push_back("was built for compute capability " + built + ", this GPU is " + spec.compute_capability);
  }
  if (!spec.library_version.empty() && info.library_version != spec.library_version) {
    all.push_back("was built by version " + info.library_version + ", the library here is " + spec.library_version);
  }
  if (!spec.precision.empty() && info.facts.precision != spec.precision) {
    all.push_back("computes in " + info.facts.precision + ", expected " + spec.precision);
  }
  return all;
}

/// The greater, the better.
auto preference(const EngineArtifact& engine, const std::string& gpu) {
  return std::tuple(verified_on(engine.info, gpu), engine.info.facts.precision == "fp16", !engine.info.facts.plugin);
}

/// Engine files of a folder, in the order of their names.
std::vector<fs::path> engine_files(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code failure;  // a folder that cannot be read is one without engines
  for (fs::directory_iterator entry(folder, failure), end; !failure && entry != end; entry.increment(failure)) {
    if (entry->path().extension() == ".engine") files.push_back(entry->path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string capability_text(const std::vector<std::string>& capabilities) {
  if (capabilities.empty()) return "sm80+";
  std::string text = "sm";
  for (const std::string& capability : capabilities) {
    if (text != "sm") text += "-";
    text += std::to_string(number_of(capability));
  }
  return text;
}

/// Letters, digits, '.' and '_' stay as they are.
std::string plain(std::string text) {
  const auto is_special = [](unsigned char c) { return std::isalnum(c) == 0 && c != '.' && c != '_'; };
  std::replace_if(text.begin(), text.end(), is_special, '_');
  return text;
}

}  // namespace

std::string engine_file_name(const EngineInfo& info) {
  const EngineFacts& facts = info.facts;
  return plain(facts.model) + "-" + facts.stage + "-" + info.flavour + "-" + plain(info.library_version) + "-" +
         facts.precision + (facts.plugin ? "-plugin" : "") + "-" + capability_text(info.compute_capabilities) + "-" +
         facts.onnx_sha256.substr(0, 12) + ".engine";
}

bool verified_on(const EngineInfo& info, const std::string& gpu) {
  return std::find(info.verified_on.begin(), info.verified_on.end(), gpu) != info.verified_on.end();
}

EngineArtifact find_engine(const fs::path& folder, const EngineSpec& spec) {
  std::optional<EngineArtifact> best;
  std::string reason = "there is none for it";  // of the nearest that does not fit
  std::size_t fewest = std::numeric_limits<std::size_t>::max();
  for (const fs::path& path : engine_files(folder)) {
    try {
      EngineArtifact engine{path, read_engine_header(path), {}};
      if (engine.info.facts.onnx_sha256 != spec.onnx_sha256) continue;
      const std::vector<std::string> misfits = differences(engine.info, spec);
      if (misfits.empty() && (!best || preference(engine, spec.gpu) > preference(*best, spec.gpu))) {
        best = std::move(engine);
      } else if (!misfits.empty() && misfits.size() < fewest) {
        fewest = misfits.size();
        reason = path.filename().string() + " " + joined(misfits, ", ");
      }
    } catch (const Error& error) {
      if (fewest == std::numeric_limits<std::size_t>::max()) reason = error.what();
    }
  }
  if (best) return *std::move(best);
  throw Error(ErrorCode::backend, "network " + spec.network + ": no engine in " + folder.string() + " fits: " + reason +
                                      "; " + build_command(spec.flavor, spec.precision));
}

}  // namespace tensorrt

std::filesystem::path engines_folder(const std::filesystem::path& folder) {
  if (!folder.empty()) return folder;
  const std::filesystem::path found = user_cache_folder("CARDIACSEG_ENGINES", "engines");
  if (!found.empty()) return found;
  throw Error(ErrorCode::backend,
              "expected a folder of engines, got none of CARDIACSEG_ENGINES, XDG_CACHE_HOME and HOME set");
}

EngineInfo read_engine_info(const std::filesystem::path& path) { return tensorrt::read_engine_header(path); }

}  // namespace cardiacseg
