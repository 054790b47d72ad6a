#pragma once

#include <cstdint>

/// The structures of DLPack 0.x (https://dmlc.github.io/dlpack/latest/c_api.html), under names of our own.
namespace cardiacseg::python::dlpack {

constexpr std::int32_t kCuda = 2;

enum Kind : std::uint8_t { kInt = 0, kUnsigned = 1, kFloat = 2, kBool = 6 };

struct Device {
  std::int32_t type;
  std::int32_t index;
};

struct DataType {
  std::uint8_t kind;
  std::uint8_t bits;
  std::uint16_t lanes;
};

struct Tensor {
  void* data;
  Device device;
  std::int32_t rank;
  DataType type;
  std::int64_t* shape;
  std::int64_t* strides;  ///< in elements; nullptr: contiguous
  std::uint64_t byte_offset;
};

struct ManagedTensor {
  Tensor tensor;
  void* owner;
  void (*deleter)(ManagedTensor*);
};

constexpr const char* kCapsule = "dltensor";

}  // namespace cardiacseg::python::dlpack
