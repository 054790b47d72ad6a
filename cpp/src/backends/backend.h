#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace cardiacseg {

/// Where a backend's tensors live.
enum class MemorySpace { host, device };

/// A float32 tensor in C order, in memory that somebody else owns.
template <class Element>
struct BasicTensorView {
  std::span<Element> values;
  std::vector<std::int64_t> shape;
};
using TensorView = BasicTensorView<const float>;
using MutableTensorView = BasicTensorView<float>;

/// One network, ready to run. `run` is const and may be called from several threads at once.
class Network {
 public:
  virtual ~Network() = default;

  /// Names of the ONNX graph's outputs, in its order.
  virtual const std::vector<std::string>& outputs() const = 0;

  /// Fills every output. Inputs and outputs are in the order of the ONNX graph; their shapes are the caller's promise.
  /// Throws Error(backend).
  virtual void run(const TensorView& input, std::span<const MutableTensorView> outputs) const = 0;
};

/// An inference library on a device.
class Backend {
 public:
  virtual ~Backend() = default;

  virtual std::string name() const = 0;

  /// Memory that `Network::run` takes and gives.
  virtual MemorySpace memory() const = 0;

  /// Frames of `slices` slices that one call should carry. It must not change any label.
  virtual std::int64_t frames_per_call(std::int64_t slices) const = 0;

  /// Loads a network from the bytes of an ONNX file. `name` is for messages. Throws Error(backend).
  virtual std::unique_ptr<Network> load(const std::string& name, std::span<const std::byte> onnx) const = 0;
};

}  // namespace cardiacseg
