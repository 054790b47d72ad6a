#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace cardiacseg::python {

/// Labels in the GPU's memory, as Python sees them.
class DeviceLabels {
 public:
  DeviceLabels(std::shared_ptr<std::uint8_t> labels, std::vector<std::int64_t> shape)
      : labels_(std::move(labels)), shape_(std::move(shape)) {}

  pybind11::tuple shape() const { return pybind11::tuple(pybind11::cast(shape_)); }

  /// The same memory in another shape. Throws Error(invalid_input) for one of another size.
  DeviceLabels reshape(const std::vector<std::int64_t>& shape) const;

  /// Version 3. The labels are ready: no stream.
  pybind11::dict cuda_array_interface() const;

  pybind11::capsule dlpack() const;

 private:
  std::shared_ptr<std::uint8_t> labels_;
  std::vector<std::int64_t> shape_;
};

}  // namespace cardiacseg::python
