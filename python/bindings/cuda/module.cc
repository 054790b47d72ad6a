#include <pybind11/pybind11.h>

namespace cardiacseg::python {

void register_attention(pybind11::module_& module);
void register_mask_fusion(pybind11::module_& module);
void register_percentile_range(pybind11::module_& module);
void register_preprocess(pybind11::module_& module);

}  // namespace cardiacseg::python

PYBIND11_MODULE(_cuda, module) {
  using namespace cardiacseg::python;
  module.doc() =
      "The CUDA kernels over device pointers, sizes and a stream, all of them integers; types of elements are "
      "\"float32\", \"float16\" and so on. Nothing is copied, allocated or waited for. ValueError: what was given does "
      "not fit; RuntimeError: the launch failed.";
  register_attention(module);
  register_mask_fusion(module);
  register_percentile_range(module);
  register_preprocess(module);
}
