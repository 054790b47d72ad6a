#include "pipeline/read_stack.h"

#include <cstddef>
#include <cstring>

namespace cardiacseg {
namespace {

template <class Pixel>
void read_row(const std::byte* source, std::ptrdiff_t stride, std::span<float> row) {
  for (float& value : row) {
    Pixel pixel;
    std::memcpy(&pixel, source, sizeof(Pixel));
    value = static_cast<float>(pixel);
    source += stride;
  }
}

using RowReader = void (*)(const std::byte*, std::ptrdiff_t, std::span<float>);

RowReader row_reader(PixelType type) {
  switch (type) {
    case PixelType::uint8:
      return read_row<std::uint8_t>;
    case PixelType::int8:
      return read_row<std::int8_t>;
    case PixelType::uint16:
      return read_row<std::uint16_t>;
    case PixelType::int16:
      return read_row<std::int16_t>;
    case PixelType::uint32:
      return read_row<std::uint32_t>;
    case PixelType::int32:
      return read_row<std::int32_t>;
    case PixelType::float32:
      return read_row<float>;
    case PixelType::float64:
      break;
  }
  return read_row<double>;
}

}  // namespace

void read_stack(const CineView& cine, std::int64_t frame, std::span<float> stack) {
  const RowReader read = row_reader(cine.type);
  const auto& [frame_step, slice_step, row_step, column_step] = cine.strides;
  const auto* base = static_cast<const std::byte*>(cine.data) + frame * frame_step;
  const auto columns = static_cast<std::size_t>(cine.shape.columns);
  for (std::int64_t slice = 0; slice < cine.shape.slices; ++slice) {
    for (std::int64_t row = 0; row < cine.shape.rows; ++row) {
      read(base + slice * slice_step + row * row_step, column_step, stack.first(columns));
      stack = stack.subspan(columns);
    }
  }
}

}  // namespace cardiacseg
