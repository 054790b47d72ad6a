#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace cardiacseg {

/// Elements `index * size` to `(index + count) * size` of `values`.
template <class Values>
auto part(Values& values, std::int64_t index, std::int64_t size, std::int64_t count = 1) {
  return std::span(values).subspan(static_cast<std::size_t>(index * size), static_cast<std::size_t>(count * size));
}

}  // namespace cardiacseg
