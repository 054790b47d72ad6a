#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ops/device.h"

namespace cardiacseg {

/// Memory of a backend's tensors.
enum class MemorySpace { host, device };

/// A view of a float32 tensor in C order.
template <class Element>
struct BasicTensorView {
  std::span<Element> values;
  std::vector<std::int64_t> shape;
};
using TensorView = BasicTensorView<const float>;
using MutableTensorView = BasicTensorView<float>;

/// Asked from time to time while a network runs; if it returns false, the network stops. May be empty.
using KeepGoing = std::function<bool()>;

/// One network, ready to run. `run` is const and may be called from several threads at once.
class Network {
 public:
  virtual ~Network() = default;

  /// Names of the ONNX graph's outputs, in its order.
  virtual const std::vector<std::string>& outputs() const = 0;

  /// Starts in another thread what the first run on an input of `shape` would wait for; if that fails, the run says
  /// why. The network must outlive the future, whose destructor waits. The future is empty if there is nothing to do.
  virtual std::future<void> prepare_ahead(const std::vector<std::int64_t>&) const { return {}; }

  /// Fills every output. Inputs and outputs are in the order of the ONNX graph; the caller guarantees their shapes.
  /// Throws Error(backend), Error(cancelled) if `keep_going` returns false, and what `keep_going` throws. A network
  /// that takes milliseconds need not ask.
  virtual void run(const TensorView& input, std::span<const MutableTensorView> outputs,
                   const KeepGoing& keep_going) const = 0;
};

/// A network made ready for one input shape, in device memory. For one thread at a time; several of them may run on one
/// stream after one another. The memory that it is bound to must outlive it.
class DeviceExecution {
 public:
  virtual ~DeviceExecution() = default;

  /// Bytes of device memory that it works in. Executions that never run at the same time may share theirs.
  virtual std::size_t scratch_bytes() const = 0;

  /// Fixes the addresses, all in device memory, aligned to 256 bytes and in C order: the input, the outputs in the
  /// order of Network::outputs, float32 all of them, and `scratch_bytes` of working memory. Throws Error(backend).
  virtual void bind(const float* input, std::span<float* const> outputs, void* scratch) = 0;

  /// Whether what `enqueue` puts on `stream` may be captured in a CUDA graph, once it has run there.
  virtual bool capturable(ops::DeviceStream stream) const = 0;

  /// Starts the network on `stream`: nothing is allocated or waited for. Throws Error(backend).
  virtual void enqueue(ops::DeviceStream stream) = 0;
};

/// How closely a network computes: as the ONNX file says, or in 16 bits if that does not show in the labels.
enum class Precision { float32, float16, bfloat16 };

/// As reports have it: "fp32", "fp16" or "bf16".
constexpr const char* to_string(Precision precision) {
  if (precision == Precision::float32) return "fp32";
  return precision == Precision::float16 ? "fp16" : "bf16";
}

/// A network whose weights are in device memory. `run`, on host memory, uploads, waits and downloads; elements of the
/// outputs that the network did not write are NaN.
class DeviceNetwork : public Network {
 public:
  /// Stacks that one call takes at most.
  virtual std::int64_t max_frames() const = 0;

  virtual Precision precision() const = 0;

  /// Whether it has passed the parity gate on this GPU.
  virtual bool verified() const = 0;

  /// Notes in its file that it has passed. If the file cannot be written, the note lives as long as this object.
  virtual void mark_verified() const = 0;

  /// Sets up for inputs of `shape` `[frames, slices, channels, rows, columns]`. Const and thread-safe. Throws
  /// Error(backend) for a shape that the network was not built for, saying how to build it.
  virtual std::unique_ptr<DeviceExecution> prepare(const std::vector<std::int64_t>& shape) const = 0;
};

/// An inference library on a device.
class Backend {
 public:
  virtual ~Backend() = default;

  virtual std::string name() const = 0;

  /// Memory that its networks work in; if it is `device`, this is a DeviceBackend.
  virtual MemorySpace memory() const = 0;

  /// Frames of `slices` slices that one call should carry. It must not change any label.
  virtual std::int64_t frames_per_call(std::int64_t slices) const = 0;

  /// Loads a network from the bytes of an ONNX file. `name` is for messages. Throws Error(backend).
  virtual std::unique_ptr<Network> load(const std::string& name, std::span<const std::byte> onnx) const = 0;
};

/// Makes a backend on the CPU that computes in float32, whose results are the reference, or in bfloat16. Throws
/// Error(backend), also if the CPU does not compute in that precision.
using MakeHostBackend = std::function<std::unique_ptr<Backend>(Precision)>;

/// A backend that runs engines which were built beforehand, each for the ONNX file whose digest it holds.
class DeviceBackend : public Backend {
 public:
  MemorySpace memory() const final { return MemorySpace::device; }

  /// As `load`, which gives the same network. Throws Error(backend) if no engine for `onnx` fits this machine,
  /// saying what differs and the command that builds one.
  virtual std::unique_ptr<DeviceNetwork> load_on_device(const std::string& name,
                                                        std::span<const std::byte> onnx) const = 0;
};

}  // namespace cardiacseg
