#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <string>
#include <vector>

#include "cardiacseg/error.h"
#include "dlpack.h"

namespace py = pybind11;

namespace cardiacseg::python {
namespace {

py::dtype dtype_of(const dlpack::DataType& type) {
  std::string kind;
  if (type.kind == dlpack::kInt) kind = "i";
  if (type.kind == dlpack::kUnsigned || type.kind == dlpack::kBool) kind = "u";
  if (type.kind == dlpack::kFloat) kind = "f";
  if (kind.empty() || type.lanes != 1) {
    throw Error(ErrorCode::invalid_input, "image must have a real number type, got type " + std::to_string(type.kind) +
                                              " of DLPack with " + std::to_string(type.lanes) + " lanes");
  }
  return py::dtype(kind + std::to_string(type.bits / 8));
}

/// Strides in bytes.
std::vector<std::int64_t> strides_of(const dlpack::Tensor& tensor) {
  const auto rank = static_cast<std::size_t>(tensor.rank);
  std::vector<std::int64_t> strides(rank);
  std::int64_t step = 1;
  for (std::size_t axis = rank; axis-- > 0; step *= tensor.shape[axis]) {
    strides[axis] = (tensor.strides == nullptr ? step : tensor.strides[axis]) * (tensor.type.bits / 8);
  }
  return strides;
}

/// Address, dtype, shape and strides; the memory is that of `capsule`, which stays as it is.
py::tuple read_dlpack(const py::capsule& capsule) {
  if (PyCapsule_IsValid(capsule.ptr(), dlpack::kCapsule) == 0) {
    throw Error(ErrorCode::invalid_input, "image must give a capsule named dltensor from __dlpack__");
  }
  const dlpack::Tensor& tensor = capsule.get_pointer<dlpack::ManagedTensor>()->tensor;
  const std::vector<std::int64_t> shape(tensor.shape, tensor.shape + tensor.rank);
  return py::make_tuple(reinterpret_cast<std::uintptr_t>(tensor.data) + tensor.byte_offset, dtype_of(tensor.type),
                        py::tuple(py::cast(shape)), py::tuple(py::cast(strides_of(tensor))));
}

}  // namespace

void register_dlpack(py::module_& module) {
  module.def("read_dlpack", &read_dlpack, py::arg("capsule"),
             "Address, dtype, shape and strides in bytes of a DLPack capsule's tensor.");
}

}  // namespace cardiacseg::python
