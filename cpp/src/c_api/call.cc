#include "c_api/call.h"

#include <array>
#include <new>

#include "cardiacseg/cardiac_segmenter.h"
#include "cardiacseg/error.h"

namespace cardiacseg::c_api {
namespace {

/// No text of ours is longer; what is, is cut. A fixed size, so that keeping a message needs no memory.
constexpr std::size_t kLongestMessage = 2048;
thread_local std::array<char, kLongestMessage> last_error{};

csg_status keep(csg_status status, const char* message) noexcept {
  const std::size_t length = std::min(std::strlen(message), kLongestMessage - 1);
  std::memcpy(last_error.data(), message, length);
  last_error[length] = '\0';
  return status;
}

csg_status status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_input:
      return CSG_INVALID_INPUT;
    case ErrorCode::not_found:
      return CSG_NOT_FOUND;
    case ErrorCode::bad_bundle:
      return CSG_BAD_BUNDLE;
    case ErrorCode::backend:
      return CSG_BACKEND;
    case ErrorCode::cancelled:
      return CSG_CANCELLED;
  }
  return CSG_INTERNAL;
}

/// More is no struct of any version, but a size that was not set.
constexpr std::size_t kLargestStruct = 1 << 16;

/// Strides that lead out of every memory would end the process. Sizes that are not positive are refused later.
void require_reachable(const csg_cine& cine) {
  for (std::size_t axis = 0; axis < 4; ++axis) {
    if (cine.shape[axis] <= 1) continue;
    const std::int64_t most = kAddressSpace / (cine.shape[axis] - 1);
    require(cine.strides[axis] >= -most && cine.strides[axis] <= most,
            "csg_cine.strides: expected bytes within the memory of a process, got " +
                std::to_string(cine.strides[axis]) + " for axis " + std::to_string(axis) + " of " +
                std::to_string(cine.shape[axis]) + " elements");
  }
}

}  // namespace

csg_status failed() noexcept {
  try {
    throw;
  } catch (const Failure& error) {
    return keep(error.status(), error.what());
  } catch (const Error& error) {
    return keep(status_of(error.code()), error.what());
  } catch (const std::bad_alloc&) {
    return keep(CSG_OUT_OF_MEMORY, "there is not enough memory");
  } catch (const std::length_error&) {
    return keep(CSG_OUT_OF_MEMORY, "there is not enough memory");
  } catch (const std::exception& error) {
    return keep(CSG_INTERNAL, error.what());
  } catch (...) {
    return keep(CSG_INTERNAL, "an exception that is no std::exception");
  }
}

void require_known(const void* given, std::size_t smallest, std::size_t own, const char* name) {
  std::size_t size = 0;
  std::memcpy(&size, given, sizeof(size));
  require(size >= smallest && size <= kLargestStruct, std::string(name) + ": expected a struct_size of at least " +
                                                          std::to_string(smallest) + ", got " + std::to_string(size));
  const auto* bytes = static_cast<const unsigned char*>(given);
  require(size <= own || std::all_of(bytes + own, bytes + size, [](unsigned char byte) { return byte == 0; }),
          std::string(name) + " has members that this version of cardiacseg does not know: expected them to be 0");
}

CineView view_of(const csg_cine* cine) {
  require(cine != nullptr, "cine: expected a pointer, got NULL");
  const csg_cine given = read_struct(cine, CSG_CINE_INIT, "csg_cine");
  require(given.pixel_type >= CSG_UINT8 && given.pixel_type <= CSG_FLOAT64,
          "csg_cine.pixel_type: expected 0 to 7, got " + std::to_string(given.pixel_type));
  require(given.memory == CSG_HOST || given.memory == CSG_DEVICE,
          "csg_cine.memory: expected 0 or 1, got " + std::to_string(given.memory));
  const auto type = static_cast<PixelType>(given.pixel_type);
  const CineShape shape{given.shape[0], given.shape[1], given.shape[2], given.shape[3]};
  const Spacing spacing{given.spacing_mm[0], given.spacing_mm[1], given.spacing_mm[2]};
  const auto memory = given.memory == CSG_DEVICE ? Memory::device : Memory::host;
  const bool contiguous =
      std::all_of(given.strides, given.strides + 4, [](std::int64_t stride) { return stride == 0; });
  if (!contiguous) {
    require_reachable(given);
    return {given.data, type,  shape, {given.strides[0], given.strides[1], given.strides[2], given.strides[3]},
            spacing,    memory};
  }
  // Strides of a shape that is refused anyway must not overflow.
  if (product({shape.frames, shape.slices, shape.rows, shape.columns, 8}) >
      static_cast<std::size_t>(std::numeric_limits<std::int64_t>::max())) {
    return {given.data, type, shape, {0, 0, 0, 0}, spacing, memory};
  }
  return CineView::contiguous(given.data, type, shape, spacing, memory);
}

}  // namespace cardiacseg::c_api

extern "C" {

const char* csg_version(void) {
  static const std::string version = cardiacseg::version();
  return version.c_str();
}

int32_t csg_abi_version(void) { return CSG_ABI_VERSION; }

const char* csg_status_name(int32_t status) {
  switch (status) {
    case CSG_OK:
      return "CSG_OK";
    case CSG_INVALID_INPUT:
      return "CSG_INVALID_INPUT";
    case CSG_NOT_FOUND:
      return "CSG_NOT_FOUND";
    case CSG_BAD_BUNDLE:
      return "CSG_BAD_BUNDLE";
    case CSG_BACKEND:
      return "CSG_BACKEND";
    case CSG_CANCELLED:
      return "CSG_CANCELLED";
    case CSG_OUT_OF_MEMORY:
      return "CSG_OUT_OF_MEMORY";
    case CSG_INVALID_HANDLE:
      return "CSG_INVALID_HANDLE";
    case CSG_BUFFER_TOO_SMALL:
      return "CSG_BUFFER_TOO_SMALL";
    case CSG_INTERNAL:
      return "CSG_INTERNAL";
    default:
      return "unknown";
  }
}

const char* csg_last_error(void) { return cardiacseg::c_api::last_error.data(); }

}  // extern "C"
