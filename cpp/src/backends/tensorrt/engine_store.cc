#include "backends/tensorrt/engine_store.h"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <system_error>
#include <tuple>
#include <vector>

#include "backends/tensorrt/engine_file.h"
#include "cardiacseg/error.h"
#include "files/user_cache.h"

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
  return std::atoi(capability.c_str()) * 10 + (capability.back() - '0');
}

bool runs_on(const EngineInfo& info, const std::string& capability) {
  const std::vector<std::string>& built = info.compute_capabilities;
  if (built.empty()) return number_of(capability) >= 80;
  return std::find(built.begin(), built.end(), capability) != built.end();
}

std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += (all.empty() ? "" : ", ") + text;
  return all;
}

/// What keeps an engine for the right ONNX file from being used, the gravest first.
std::vector<std::string> differences(const EngineInfo& info, const EngineKey& key) {
  std::vector<std::string> all;
  if (info.flavour != key.flavour) all.push_back("is for " + info.flavour + ", " + key.flavour + " was wanted");
  if (!runs_on(info, key.compute_capability)) {
    const std::string built = info.compute_capabilities.empty() ? "8.0 and later" : joined(info.compute_capabilities);
    all.push_back("was built for compute capability " + built + ", this GPU is " + key.compute_capability);
  }
  if (info.library_version != key.library_version) {
    all.push_back("was built by version " + info.library_version + ", the library here is " + key.library_version);
  }
  if (!key.precision.empty() && info.facts.precision != key.precision) {
    all.push_back("computes in " + info.facts.precision + ", " + key.precision + " was wanted");
  }
  return all;
}

/// The greater, the better.
auto preference(const FoundEngine& engine, const std::string& gpu) {
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

/// Goes through engines, keeping the best that fits and the nearest that does not.
class Search {
 public:
  explicit Search(const EngineKey& key) : key_(key) {}

  void look_at(const fs::path& path) {
    try {
      weigh({path, read_engine_header(path)});
    } catch (const Error& error) {
      unreadable_ = error.what();
    }
  }

  const std::optional<FoundEngine>& best() const { return best_; }

  /// Why there is none.
  std::string reason() const {
    if (nearest_) return nearest_->path.filename().string() + " " + joined(differences(nearest_->info, key_));
    if (!unreadable_.empty()) return unreadable_;
    return "there is none for it";
  }

 private:
  void weigh(FoundEngine engine) {
    if (engine.info.facts.onnx_sha256 != key_.onnx_sha256) return;
    const std::size_t misfits = differences(engine.info, key_).size();
    if (misfits == 0) {
      if (!best_ || preference(engine, key_.gpu) > preference(*best_, key_.gpu)) best_ = std::move(engine);
    } else if (!nearest_ || misfits < differences(nearest_->info, key_).size()) {
      nearest_ = std::move(engine);
    }
  }

  const EngineKey& key_;
  std::optional<FoundEngine> best_;
  std::optional<FoundEngine> nearest_;
  std::string unreadable_;
};

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

FoundEngine find_engine(const fs::path& folder, const EngineKey& key) {
  Search search(key);
  for (const fs::path& path : engine_files(folder)) search.look_at(path);
  if (search.best()) return *search.best();
  throw Error(ErrorCode::backend, "network " + key.network + ": no engine in " + folder.string() +
                                      " fits: " + search.reason() + "; " + build_command(key.flavour, key.precision));
}

std::string build_command(const std::string& flavour, const std::string& precision) {
  return std::string("build one with `python tools/build_engine.py BUNDLE --flavor ") +
         (flavour == "tensorrt_rtx" ? "rtx" : "tensorrt") + (precision.empty() ? "" : " --precision " + precision) +
         "`";
}

}  // namespace tensorrt

std::filesystem::path engines_folder(const std::filesystem::path& wanted) {
  if (!wanted.empty()) return wanted;
  const std::filesystem::path folder = user_cache_folder("CARDIACSEG_ENGINES", "engines");
  if (!folder.empty()) return folder;
  throw Error(ErrorCode::backend,
              "wanted a folder of engines, found none of CARDIACSEG_ENGINES, XDG_CACHE_HOME and HOME set");
}

EngineInfo read_engine_info(const std::filesystem::path& path) { return tensorrt::read_engine_header(path); }

}  // namespace cardiacseg
