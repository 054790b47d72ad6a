#pragma once

#include <pybind11/numpy.h>

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cardiacseg/error.h"
#include "cardiacseg/views.h"

namespace cardiacseg::python {

/// A contiguous array; pybind11 copies the caller's array if it is not contiguous.
template <class Element>
using Contiguous = pybind11::array_t<Element, pybind11::array::c_style | pybind11::array::forcecast>;

template <class Element>
std::span<const Element> values_of(const Contiguous<Element>& array) {
  return {array.data(), static_cast<std::size_t>(array.size())};
}

/// A new array that owns `values`.
template <class Element>
pybind11::array_t<Element> to_array(std::vector<Element> values, const std::vector<pybind11::ssize_t>& shape) {
  auto* owner = new std::vector<Element>(std::move(values));
  const pybind11::capsule keeper(owner, [](void* pointer) { delete static_cast<std::vector<Element>*>(pointer); });
  return pybind11::array_t<Element>(shape, owner->data(), keeper);
}

/// Throws Error(invalid_input) unless `array` has `rank` axes.
inline void require_rank(const pybind11::array& array, pybind11::ssize_t rank, const std::string& what) {
  if (array.ndim() != rank) {
    throw Error(ErrorCode::invalid_input,
                what + " must have " + std::to_string(rank) + " axes, got " + std::to_string(array.ndim()));
  }
}

/// Extent of an array `[frames, slices, rows, columns]`.
inline CineShape cine_shape(const pybind11::array& array) {
  return {array.shape(0), array.shape(1), array.shape(2), array.shape(3)};
}

}  // namespace cardiacseg::python
