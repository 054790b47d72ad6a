#include "pipeline/gather.h"

#include <array>
#include <cstring>

#include "ops/parallel.h"

namespace cardiacseg {
namespace {

/// Bytes from which on a second thread is worth its start.
constexpr std::int64_t kWorthAThread = 1 << 20;

void copy_row(const std::byte* from, std::ptrdiff_t step, std::int64_t pixels, std::size_t size, std::byte* to) {
  if (step == static_cast<std::ptrdiff_t>(size)) {
    std::memcpy(to, from, static_cast<std::size_t>(pixels) * size);
    return;
  }
  for (std::int64_t pixel = 0; pixel < pixels; ++pixel, from += step, to += size) std::memcpy(to, from, size);
}

}  // namespace

bool is_contiguous(const CineView& cine) {
  const std::array<std::int64_t, 4> extents{cine.shape.frames, cine.shape.slices, cine.shape.rows, cine.shape.columns};
  auto wanted = static_cast<std::ptrdiff_t>(size_of(cine.type));
  for (std::size_t axis = extents.size(); axis-- > 0; wanted *= extents[axis]) {
    if (extents[axis] != 1 && cine.strides[axis] != wanted) return false;
  }
  return true;
}

void gather(const CineView& cine, std::int64_t first, std::int64_t count, int threads, std::byte* to) {
  const auto& [frames, slices, rows, columns] = cine.shape;
  const std::size_t size = size_of(cine.type);
  const std::int64_t row_bytes = columns * static_cast<std::int64_t>(size);
  const std::int64_t lines = count * slices * rows;
  const int most = lines * row_bytes < kWorthAThread ? 1 : threads;
  ops::parallel_for(lines, most, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t line = begin; line < end; ++line) {
      const std::int64_t frame = first + line / (slices * rows);
      const std::byte* from = static_cast<const std::byte*>(cine.data) + frame * cine.strides[0] +
                              line / rows % slices * cine.strides[1] + line % rows * cine.strides[2];
      copy_row(from, cine.strides[3], columns, size, to + line * row_bytes);
    }
  });
}

}  // namespace cardiacseg
