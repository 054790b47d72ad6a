#include <pybind11/pybind11.h>

#include "cardiacseg/cardiac_segmenter.h"
#include "long_call.h"

namespace cardiacseg::python {

void register_device_labels(pybind11::module_& module);
void register_dlpack(pybind11::module_& module);
void register_engines(pybind11::module_& module);
void register_errors();
void register_measurements(pybind11::module_& module);
void register_segmenter(pybind11::module_& module);

}  // namespace cardiacseg::python

PYBIND11_MODULE(_core, module) {
  using namespace cardiacseg::python;
  module.doc() = "The compiled core of cardiacseg.";
  module.attr("__version__") = cardiacseg::version();
  register_errors();
  register_long_calls();
  register_device_labels(module);
  register_dlpack(module);
  register_engines(module);
  register_measurements(module);
  register_segmenter(module);
}
