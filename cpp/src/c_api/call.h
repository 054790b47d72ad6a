#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "cardiacseg/cardiacseg.h"
#include "cardiacseg/views.h"

namespace cardiacseg::c_api {

/// What ends a call with a status that the C++ API has no code for.
class Failure : public std::runtime_error {
 public:
  Failure(csg_status status, const std::string& message) : std::runtime_error(message), status_(status) {}
  csg_status status() const noexcept { return status_; }

 private:
  csg_status status_;
};

/// The status of the exception that is being handled; its message becomes the thread's last error.
csg_status failed() noexcept;

/// Runs one function of the C API: no exception leaves it.
template <typename Function>
csg_status call(Function&& function) noexcept {
  try {
    function();
    return CSG_OK;
  } catch (...) {
    return failed();
  }
}

inline void require(bool condition, const std::string& message) {
  if (!condition) throw Failure(CSG_INVALID_INPUT, message);
}

/// Bytes of a struct in version 1 of the C API, without padding at its end: no caller has a smaller one.
template <typename Struct>
inline constexpr std::size_t kSmallestSize = 0;
template <>
inline constexpr std::size_t kSmallestSize<csg_segmenter_options> =
    offsetof(csg_segmenter_options, threads) + sizeof(csg_segmenter_options::threads);
template <>
inline constexpr std::size_t kSmallestSize<csg_cine> = offsetof(csg_cine, spacing_mm) + sizeof(csg_cine::spacing_mm);
template <>
inline constexpr std::size_t kSmallestSize<csg_run_options> =
    offsetof(csg_run_options, context) + sizeof(csg_run_options::context);
template <>
inline constexpr std::size_t kSmallestSize<csg_run_outputs> =
    offsetof(csg_run_outputs, device_index) + sizeof(csg_run_outputs::device_index);
template <>
inline constexpr std::size_t kSmallestSize<csg_measure_options> =
    offsetof(csg_measure_options, anterior) + sizeof(csg_measure_options::anterior);
template <>
inline constexpr std::size_t kSmallestSize<csg_measurements> =
    offsetof(csg_measurements, volumes_capacity) + sizeof(csg_measurements::volumes_capacity);

/// Refuses a struct_size that no version of the struct has, and members beyond `own` bytes, which this version does not
/// know, unless they are 0.
void require_known(const void* given, std::size_t smallest, std::size_t own, const char* name);

/// A copy of the caller's struct, aligned. Members that the caller's version does not have are as in `defaults`.
template <typename Struct>
Struct read_struct(const Struct* given, Struct defaults, const char* name) {
  static_assert(kSmallestSize<Struct> > sizeof(std::size_t));
  require_known(given, kSmallestSize<Struct>, sizeof(Struct), name);
  std::size_t size = 0;
  std::memcpy(&size, given, sizeof(size));
  std::memcpy(&defaults, given, std::min(size, sizeof(Struct)));
  return defaults;
}

/// Writes back what read_struct read, so far as the caller's version has it.
template <typename Struct>
void write_struct(const Struct& from, Struct* to) {
  std::memcpy(to, &from, std::min(from.struct_size, sizeof(Struct)));
}

/// Product of the sizes, or the largest number if it does not fit or a size is not positive: what then follows refuses
/// the shape.
inline std::size_t product(std::initializer_list<std::int64_t> sizes) {
  std::size_t all = 1;
  for (const std::int64_t size : sizes) {
    if (size < 1 || all > std::numeric_limits<std::size_t>::max() / static_cast<std::size_t>(size)) {
      return std::numeric_limits<std::size_t>::max();
    }
    all *= static_cast<std::size_t>(size);
  }
  return all;
}

/// Bytes that a process can address on today's processors, in the layout that it gets unless it asks for another.
inline constexpr std::int64_t kAddressSpace = std::int64_t{1} << 47;

/// An array of the caller's for `count` elements. Its address need not be aligned.
template <typename Value>
void require_capacity(const Value* array, std::size_t capacity, std::size_t count, const char* name) {
  if (array == nullptr || capacity >= count || count == std::numeric_limits<std::size_t>::max()) return;
  throw Failure(CSG_BUFFER_TOO_SMALL, std::string(name) + ": expected a capacity of at least " + std::to_string(count) +
                                          ", got " + std::to_string(capacity));
}

template <typename Value>
void write_array(const std::vector<Value>& from, Value* to) {
  if (to != nullptr) std::memcpy(to, from.data(), from.size() * sizeof(Value));
}

template <typename Value>
std::vector<Value> read_array(const Value* from, std::size_t count) {
  std::vector<Value> copy(from == nullptr ? 0 : count);
  if (from != nullptr) std::memcpy(copy.data(), from, count * sizeof(Value));
  return copy;
}

CineView view_of(const csg_cine* cine);

}  // namespace cardiacseg::c_api
