// Runs a provider library on the command line, for tests:
//   drive LIBRARY facts
//   drive LIBRARY build ONNX PLAN [input=NAME:1,2:1,2:4,8]... [capability=8.6]... [float32=NODE]... [stop=STEPS]
//                                 [throw=STEPS] [float16] [inspect]
//   drive LIBRARY load PLAN
// It prints what it finds, line by line; if an Error is thrown, `error CODE SENTENCE`, and ends with 3.

#include <dlfcn.h>

#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>
#include <stdexcept>

#include "backends/tensorrt/provider.h"
#include "cardiacseg/error.h"

namespace {

using namespace cardiacseg;
using namespace cardiacseg::tensorrt;

const Provider& open_provider(const char* path) {
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw std::runtime_error(dlerror());
  const auto open = reinterpret_cast<OpenProvider>(dlsym(library, kProviderSymbol));
  if (open == nullptr) throw std::runtime_error(dlerror());
  const Provider* provider = nullptr;
  open(kInterfaceVersion, &provider);
  if (provider == nullptr) throw std::runtime_error("another interface version");
  return *provider;
}

std::vector<std::byte> read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const auto* first = reinterpret_cast<const std::byte*>(text.data());
  return {first, first + text.size()};
}

void write(const std::string& path, const std::vector<std::byte>& bytes) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, at);) parts.push_back(part);
  return parts;
}

std::vector<std::int64_t> shape_of(const std::string& text) {
  std::vector<std::int64_t> shape;
  for (const std::string& extent : split(text, ',')) shape.push_back(std::stoll(extent));
  return shape;
}

struct Stops {
  int stop = -1;
  int fail = -1;
};

void read_option(const std::string& option, EngineRequest& request, Stops& stops) {
  const std::size_t at = option.find('=');
  const std::string name = option.substr(0, at);
  const std::string value = at == std::string::npos ? "" : option.substr(at + 1);
  if (name == "input") {
    const std::vector<std::string> parts = split(value, ':');
    request.facts.inputs.push_back({parts.at(0), shape_of(parts.at(1)), shape_of(parts.at(2)), shape_of(parts.at(3))});
  }
  if (name == "capability") request.compute_capabilities.push_back(value);
  if (name == "float32") request.float32_nodes.push_back(value);
  if (name == "float16") request.facts.precision = "fp16";
  if (name == "inspect") request.inspect = true;
  if (name == "stop") stops.stop = std::stoi(value);
  if (name == "throw") stops.fail = std::stoi(value);
}

void build(const Provider& provider, const std::vector<std::string>& arguments) {
  const std::vector<std::byte> onnx = read(arguments.at(0));
  EngineRequest request;
  request.facts.model = "test";
  request.facts.stage = "seg";
  request.onnx = onnx;
  Stops stops;
  for (std::size_t index = 2; index < arguments.size(); ++index) read_option(arguments[index], request, stops);
  int steps = 0;
  const BuiltEngine built = provider.build_engine(request, [&](const std::string& phase, int step, int of) {
    std::cout << "progress " << step << "/" << of << " " << phase << "\n";
    ++steps;
    if (steps == stops.fail) throw std::out_of_range("thrown by the caller");
    return steps != stops.stop;
  });
  write(arguments.at(1), built.plan);
  std::cout << "built " << built.plan.size() << " " << built.timing_cache.size() << " " << built.inspection.size()
            << "\n";
}

void load(const Provider& provider, const std::vector<std::string>& arguments) {
  EngineArtifact artifact;
  artifact.path = "test";
  artifact.plan = read(arguments.at(0));
  for (const std::string& output : provider.load_engine(artifact)->outputs()) std::cout << "output " << output << "\n";
}

void facts(const Provider& provider) {
  const ProviderFacts facts = provider.facts();
  std::cout << "flavor " << facts.flavor << "\n"
            << "headers " << facts.header_version << "\n"
            << "typing " << (facts.strongly_typed ? "strong" : "weak") << "\n"
            << "opset " << facts.largest_opset << "\n";
  const std::string library = provider.library_version();
  std::cout << "library " << library << "\n";
}

}  // namespace

int main(int count, char** words) try {
  const std::vector<std::string> arguments(words + 1, words + count);
  const Provider& provider = open_provider(arguments.at(0).c_str());
  const std::vector<std::string> rest(arguments.begin() + 2, arguments.end());
  if (arguments.at(1) == "facts") facts(provider);
  if (arguments.at(1) == "build") build(provider, rest);
  if (arguments.at(1) == "load") load(provider, rest);
  return 0;
} catch (const Error& error) {
  std::cout << "error " << static_cast<int>(error.code()) << " " << error.what() << "\n";
  return 3;
} catch (const std::out_of_range& error) {
  std::cout << "out of range " << error.what() << "\n";
  return 4;
}
