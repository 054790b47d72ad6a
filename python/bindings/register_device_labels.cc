#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <functional>
#include <numeric>

#include "cardiacseg/error.h"
#include "device_labels.h"
#include "dlpack.h"

namespace py = pybind11;

namespace cardiacseg::python {
namespace {

/// A tensor that is handed out, and what it holds on to.
struct Handed {
  dlpack::ManagedTensor tensor;
  std::shared_ptr<std::uint8_t> labels;
  std::vector<std::int64_t> shape;
};

void release(dlpack::ManagedTensor* tensor) { delete static_cast<Handed*>(tensor->owner); }

/// Nobody took the tensor out of its capsule.
void forget(PyObject* capsule) {
  if (PyCapsule_IsValid(capsule, dlpack::kCapsule) == 0) return;
  release(static_cast<dlpack::ManagedTensor*>(PyCapsule_GetPointer(capsule, dlpack::kCapsule)));
}

std::int64_t product(const std::vector<std::int64_t>& shape) {
  return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
}

}  // namespace

DeviceLabels DeviceLabels::reshape(const std::vector<std::int64_t>& shape) const {
  if (product(shape) == product(shape_)) return {labels_, shape, device_};
  throw Error(ErrorCode::invalid_input, "labels of " + std::to_string(product(shape_)) +
                                            " voxels cannot have a shape of " + std::to_string(product(shape)));
}

py::dict DeviceLabels::cuda_array_interface() const {
  const auto address = reinterpret_cast<std::uintptr_t>(labels_.get());
  return py::dict(py::arg("shape") = shape(), py::arg("typestr") = "|u1",
                  py::arg("data") = py::make_tuple(address, false), py::arg("strides") = py::none(),
                  py::arg("stream") = py::none(), py::arg("version") = 3);
}

py::capsule DeviceLabels::dlpack() const {
  auto handed = std::make_unique<Handed>(Handed{{}, labels_, shape_});
  handed->tensor = {{labels_.get(),
                     {dlpack::kCuda, device_},
                     static_cast<std::int32_t>(shape_.size()),
                     {dlpack::kUnsigned, 8, 1},
                     handed->shape.data(),
                     nullptr,
                     0},
                    handed.get(),
                    release};
  py::capsule capsule(&handed->tensor, dlpack::kCapsule, forget);
  handed.release();
  return capsule;
}

void register_device_labels(py::module_& module) {
  py::class_<DeviceLabels>(module, "DeviceLabels", "uint8 labels in a GPU's memory, for CuPy, PyTorch and others.")
      .def_property_readonly("shape", &DeviceLabels::shape)
      .def_property_readonly("__cuda_array_interface__", &DeviceLabels::cuda_array_interface)
      .def("reshape", &DeviceLabels::reshape, py::arg("shape"), "The same memory in another shape.")
      .def(
          "__dlpack__", [](const DeviceLabels& labels, const py::kwargs&) { return labels.dlpack(); },
          "A capsule; the labels are ready, whatever the `stream`.")
      .def("__dlpack_device__",
           [](const DeviceLabels& labels) { return py::make_tuple(int{dlpack::kCuda}, labels.device()); });
}

}  // namespace cardiacseg::python
