#include "backends/tensorrt/loaded_engine.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <tuple>
#include <vector>

#include "backends/tensorrt/engine_file.h"
#include "cardiacseg/error.h"

namespace cardiacseg::tensorrt {
namespace {

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& message) {
  throw Error(ErrorCode::backend, path.string() + ": " + message);
}

void check_type(const std::filesystem::path& path, const EngineTensor& tensor) {
  const bool starts = tensor.name == kSliceStarts;
  if (tensor.type != (starts ? ElementType::int32 : ElementType::float32)) {
    refuse(path,
           "wanted tensor " + tensor.name + " to hold " + (starts ? "int32" : "float32") + ", found another type");
  }
}

void check_outputs(const LoadedEngine& loaded, std::vector<std::string> found) {
  std::vector<std::string> wanted = loaded.info.facts.outputs;
  std::sort(wanted.begin(), wanted.end());
  std::sort(found.begin(), found.end());
  if (found != wanted) refuse(loaded.path, "the engine's outputs are not those that its header lists");
}

/// Finds the inputs, and checks that all tensors are what this backend binds.
void read_tensors(LoadedEngine& loaded) {
  std::vector<std::string> outputs;
  for (const EngineTensor& tensor : loaded.engine->tensors()) {
    check_type(loaded.path, tensor);
    if (!tensor.is_input) {
      outputs.push_back(tensor.name);
    } else if (tensor.name == kSliceStarts) {
      loaded.slice_starts = true;
    } else {
      if (!loaded.input.empty()) refuse(loaded.path, "wanted one input, found " + loaded.input + " and " + tensor.name);
      loaded.input = tensor.name;
    }
  }
  if (loaded.input.empty()) refuse(loaded.path, "wanted one input, found none");
  check_outputs(loaded, std::move(outputs));
  loaded.range = loaded.engine->input_range(loaded.input);
}

std::shared_ptr<LoadedEngine> load(const Provider& provider, const std::filesystem::path& path, const Gpu& gpu) {
  EngineFile file = read_engine_file(path);
  auto loaded = std::make_shared<LoadedEngine>();
  loaded->path = path;
  loaded->info = std::move(file.info);
  loaded->gpu = gpu.name;
  loaded->engine = provider.load(path.filename().string(), file.plan);
  read_tensors(*loaded);
  return loaded;
}

}  // namespace

std::shared_ptr<LoadedEngine> load_engine(const Provider& provider, const FoundEngine& found, const Gpu& gpu) {
  static std::mutex mutex;
  static std::map<std::tuple<std::string, std::string, int>, std::weak_ptr<LoadedEngine>> known;
  const std::lock_guard lock(mutex);
  std::weak_ptr<LoadedEngine>& entry = known[{found.path.string(), found.info.plan_sha256, gpu.index}];
  std::shared_ptr<LoadedEngine> loaded = entry.lock();
  if (!loaded) entry = loaded = load(provider, found.path, gpu);
  // Another process may have verified it since.
  if (verified_on(found.info, gpu.name)) loaded->verified = true;
  return loaded;
}

}  // namespace cardiacseg::tensorrt
