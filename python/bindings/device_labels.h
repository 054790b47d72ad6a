#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace cardiacseg::python {

/// Labels in the GPU's memory, as Python sees them.
class DeviceLabels {
 public:
  DeviceLabels(std::shared_ptr<std::uint8_t> labels, std::vector<std::int64_t> shape, int device)
      : labels_(std::move(labels)), shape_(std::move(shape)), device_(device) {}

  pybind11::tuple shape() const { return pybind11::tuple(pybind11::cast(shape_)); }

  /// The same memory in another shape. Throws Error(invalid_input) for one of another size.
  DeviceLabels reshape(const std::vector<std::int64_t>& shape) const;

  /// Version 3. The labels are ready: no stream.
  pybind11::dict cuda_array_interface() const;

  pybind11::capsule dlpack() const;

  int device() const { return device_; }

 private:
  std::shared_ptr<std::uint8_t> labels_;
  std::vector<std::int64_t> shape_;
  int device_;  ///< index of the GPU
};

}  // namespace cardiacseg::python
