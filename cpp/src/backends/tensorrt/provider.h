#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ops/device.h"

/// What a provider library gives: TensorRT behind an interface of our own, so that one runtime can open TensorRT and
/// TensorRT-RTX, whose C++ interfaces differ under the same names, and runs where there is neither. A provider is built
/// with the headers of one of them and opens that one's libraries by itself. Everything throws cardiacseg::Error.
namespace cardiacseg::tensorrt {

enum class ElementType { float32, float16, int32, int64, other };

/// An input or output of an engine.
struct EngineTensor {
  std::string name;
  bool is_input;
  ElementType type;
  std::vector<std::int64_t> shape;  ///< -1: known when an input's shape is set
};

/// Input shapes that an engine takes, and the one that it is fastest for.
struct ShapeRange {
  std::vector<std::int64_t> smallest;
  std::vector<std::int64_t> best;
  std::vector<std::int64_t> largest;
};

/// An execution context without memory of its own. For one thread at a time. Call in this order: shapes of all inputs,
/// `scratch_bytes`, `set_scratch`, an address for every tensor, `enqueue` as often as wanted.
class Context {
 public:
  virtual ~Context() = default;
  virtual void set_input_shape(const std::string& name, const std::vector<std::int64_t>& shape) = 0;
  virtual std::size_t scratch_bytes() = 0;
  virtual void set_scratch(void* memory, std::size_t bytes) = 0;
  virtual void set_address(const std::string& name, void* memory) = 0;
  virtual bool capturable(ops::DeviceStream stream) const = 0;
  virtual void enqueue(ops::DeviceStream stream) = 0;
};

/// A deserialised engine. Const and thread-safe; must outlive its contexts.
class Engine {
 public:
  virtual ~Engine() = default;
  virtual std::vector<EngineTensor> tensors() const = 0;
  virtual ShapeRange input_range(const std::string& name) const = 0;
  virtual std::unique_ptr<Context> make_context() const = 0;
};

/// What to build. The graph already says its precision where the flavour is strongly typed (docs/engines.md).
struct BuildRequest {
  std::string name;                        ///< for messages
  std::span<const std::byte> onnx;         ///< the graph that goes to TensorRT
  bool float16 = false;                    ///< allow 16 bits where types are weak (TensorRT 8 and 9)
  std::vector<std::string> float32_nodes;  ///< nodes that stay in 32 bits where types are weak
  struct Input {
    std::string name;
    ShapeRange range;
  };
  std::vector<Input> inputs;
  std::vector<std::string> compute_capabilities;  ///< "8.6"; TensorRT-RTX only; empty: its default
  std::vector<std::byte> timing_cache;            ///< of an earlier build, or empty
  bool inspect = false;                           ///< whether to fill BuiltEngine::inspection
};

struct BuiltEngine {
  std::vector<std::byte> plan;
  std::vector<std::byte> timing_cache;  ///< to be given to the next build; empty where there is none
  std::string inspection;               ///< JSON of the engine inspector; empty where the plan cannot be read here
};

/// Called while an engine is built, with a phase and how far it is. Returning false stops the build with
/// Error(cancelled).
using BuildProgress = std::function<bool(const std::string& phase, int step, int steps)>;

class Provider {
 public:
  virtual ~Provider() = default;
  virtual std::string cardiacseg_version() const = 0;  ///< of this interface; another one is refused
  virtual std::string flavour() const = 0;             ///< "tensorrt" or "tensorrt_rtx"
  virtual std::string header_version() const = 0;      ///< that it was compiled with, "8.5.3"
  virtual std::string library_version() const = 0;  ///< of the library found, which is opened; Error(backend) if none
  virtual bool strongly_typed() const = 0;          ///< whether precision is that of the graph alone
  virtual int largest_opset() const = 0;            ///< of ONNX, that its parser takes
  virtual std::unique_ptr<Engine> load(const std::string& name, std::span<const std::byte> plan) const = 0;
  virtual BuiltEngine build(const BuildRequest& request, const BuildProgress& progress) const = 0;
};

/// The one symbol that a provider library exports; the provider lives as long as the library.
inline constexpr const char* kProviderSymbol = "cardiacseg_tensorrt_provider";
using ProviderFunction = const Provider* (*)();

}  // namespace cardiacseg::tensorrt
