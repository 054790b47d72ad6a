#include <pybind11/pybind11.h>

#include "cardiacseg/error.h"

namespace cardiacseg::python {
namespace {

const char* class_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_input:
      return "InvalidInputError";
    case ErrorCode::not_found:
      return "BundleNotFoundError";
    case ErrorCode::bad_bundle:
      return "BundleError";
    case ErrorCode::backend:
      return "BackendError";
    case ErrorCode::cancelled:
      return "CancelledError";
  }
  return "Error";
}

}  // namespace

/// Raises Error as the classes of cardiacseg.errors.
void register_errors() {
  pybind11::register_local_exception_translator([](std::exception_ptr thrown) {
    try {
      std::rethrow_exception(thrown);
    } catch (const Error& error) {
      const auto errors = pybind11::module_::import("cardiacseg.errors");
      pybind11::set_error(errors.attr(class_name(error.code())), error.what());
    }
  });
}

}  // namespace cardiacseg::python
