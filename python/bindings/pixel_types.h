#pragma once

#include <pybind11/numpy.h>

#include <array>
#include <string>

#include "cardiacseg/error.h"
#include "cardiacseg/views.h"

namespace cardiacseg::python {

struct PixelFormat {
  char kind;
  pybind11::ssize_t bytes;
  PixelType type;
};

inline constexpr std::array<PixelFormat, 8> kPixelFormats{{{'u', 1, PixelType::uint8},
                                                           {'i', 1, PixelType::int8},
                                                           {'u', 2, PixelType::uint16},
                                                           {'i', 2, PixelType::int16},
                                                           {'u', 4, PixelType::uint32},
                                                           {'i', 4, PixelType::int32},
                                                           {'f', 4, PixelType::float32},
                                                           {'f', 8, PixelType::float64}}};

/// Throws Error(invalid_input) for a type that pixels cannot have.
inline PixelType pixel_type(const pybind11::dtype& dtype) {
  const bool native = dtype.byteorder() == '=' || dtype.byteorder() == '|';
  for (const PixelFormat& format : kPixelFormats) {
    if (native && dtype.kind() == format.kind && dtype.itemsize() == format.bytes) return format.type;
  }
  throw Error(ErrorCode::invalid_input, "pixels must be (u)int8 to 32, float32 or float64 in native byte order, got " +
                                            pybind11::str(dtype).cast<std::string>());
}

}  // namespace cardiacseg::python
