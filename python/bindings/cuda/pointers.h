#pragma once

#include <array>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "ops/device.h"
#include "ops/pixels.h"
#include "ops/scalar.h"

namespace cardiacseg::python {

/// Addresses cross from Python as integers, as torch.Tensor.data_ptr() and cuda_stream give them; 0 is no address, and
/// as a stream the default one.
template <class T>
T* device_pointer(std::uintptr_t address) {
  return reinterpret_cast<T*>(address);
}

/// Throws std::invalid_argument for 0.
template <class T>
T* device_pointer(std::uintptr_t address, const char* what) {
  if (address == 0) throw std::invalid_argument(std::string(what) + ": expected an address in device memory, got 0");
  return device_pointer<T>(address);
}

inline ops::DeviceStream device_stream(std::uintptr_t handle) { return reinterpret_cast<ops::DeviceStream>(handle); }

inline ops::ScalarType scalar_type(const std::string& name) {
  if (name == "float32") return ops::ScalarType::float32;
  if (name == "float16") return ops::ScalarType::float16;
  if (name == "bfloat16") return ops::ScalarType::bfloat16;
  throw std::invalid_argument("type: expected float32, float16 or bfloat16, got " + name);
}

inline PixelType pixel_type(const std::string& name) {
  constexpr std::array<const char*, 8> names{"uint8",  "int8",  "uint16",  "int16",
                                             "uint32", "int32", "float32", "float64"};
  for (std::size_t index = 0; index < names.size(); ++index) {
    if (name == names[index]) return static_cast<PixelType>(index);
  }
  throw std::invalid_argument("type: expected uint8, int8, uint16, int16, uint32, int32, float32 or float64, got " +
                              name);
}

/// Pixels `[stacks, slices, rows, columns]` in C order at an address in device memory.
inline ops::Pixels device_pixels(const std::string& type, std::uintptr_t address,
                                 const std::array<std::int64_t, 4>& shape) {
  return ops::contiguous_pixels(device_pointer<const void>(address, "pixels"), pixel_type(type), shape[0], shape[1],
                                shape[2], shape[3]);
}

}  // namespace cardiacseg::python
