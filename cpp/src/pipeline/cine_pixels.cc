#include "pipeline/cine_pixels.h"

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

ops::Pixels pixels_of(const CineView& cine, std::int64_t first, std::int64_t count) {
  const auto& [frame_step, slice_step, row_step, column_step] = cine.strides;
  return {.data = static_cast<const std::byte*>(cine.data) + first * frame_step,
          .type = cine.type,
          .stacks = count,
          .slices = cine.shape.slices,
          .rows = cine.shape.rows,
          .columns = cine.shape.columns,
          .stack_step = frame_step,
          .slice_step = slice_step,
          .row_step = row_step,
          .column_step = column_step};
}

bool is_contiguous(const CineView& cine) {
  const std::array<std::int64_t, 4> extents{cine.shape.frames, cine.shape.slices, cine.shape.rows, cine.shape.columns};
  auto expected = static_cast<std::ptrdiff_t>(size_of(cine.type));
  for (std::size_t axis = extents.size(); axis-- > 0; expected *= extents[axis]) {
    if (extents[axis] != 1 && cine.strides[axis] != expected) return false;
  }
  return true;
}

void copy_contiguous(const CineView& cine, std::int64_t first, std::int64_t count, int threads, std::byte* to) {
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

OwnedCine::OwnedCine(const CineShape& shape, const Spacing& spacing, PixelType type)
    : pixels(static_cast<std::size_t>(shape.voxels()) * size_of(type)),
      cine(CineView::contiguous(pixels.data(), type, shape, spacing)) {}

OwnedCine synthetic_cine(const CineShape& shape, const Spacing& spacing, PixelType type) {
  OwnedCine made(shape, spacing, type);
  const auto voxels = static_cast<std::size_t>(shape.voxels());
  ops::visit_pixel_type(type, [&](auto pixel) {
    for (std::size_t index = 0; index < voxels; ++index) {
      pixel = static_cast<decltype(pixel)>(index % 100);
      std::memcpy(&made.pixels[index * sizeof pixel], &pixel, sizeof pixel);
    }
  });
  return made;
}

}  // namespace cardiacseg
