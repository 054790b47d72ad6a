#include "pipeline/device_image.h"

#include "cuda/copy.h"
#include "pipeline/gather.h"

namespace cardiacseg {
namespace {

std::size_t frame_bytes(const CineShape& shape, PixelType type) {
  return static_cast<std::size_t>(shape.voxels_per_frame()) * size_of(type);
}

std::size_t bytes_of(const CineShape& shape, PixelType type) {
  return static_cast<std::size_t>(shape.frames) * frame_bytes(shape, type);
}

}  // namespace

DeviceImage::DeviceImage(const CineShape& shape, PixelType type)
    : shape_(shape), type_(type), pixels_(bytes_of(shape, type)), staging_(bytes_of(shape, type)) {}

void DeviceImage::upload(const CineView& cine, std::int64_t first, int threads, cudaStream_t stream) {
  if (cine.memory == Memory::device) {
    const auto* from = static_cast<const std::byte*>(cine.data) + first * cine.strides[0];
    cuda::copy(pixels_.data(), from, pixels_.bytes(), stream);
    return;
  }
  gather(cine, first, shape_.frames, threads, staging_.as<std::byte>());
  cuda::upload(pixels_.data(), staging_.data(), pixels_.bytes(), stream);
}

ops::Pixels DeviceImage::pixels() const {
  return ops::contiguous_pixels(pixels_.data(), type_, shape_.frames, shape_.slices, shape_.rows, shape_.columns);
}

HostCopy copy_to_host(const CineView& cine, std::int64_t frames) {
  CineShape shape = cine.shape;
  shape.frames = frames;
  HostCopy copy{std::vector<std::byte>(bytes_of(shape, cine.type)), {}};
  copy.cine = CineView::contiguous(copy.pixels.data(), cine.type, shape, cine.spacing);
  if (cine.memory == Memory::device) {
    cuda::check(cudaMemcpy(copy.pixels.data(), cine.data, copy.pixels.size(), cudaMemcpyDeviceToHost), "cudaMemcpy");
  } else {
    gather(cine, 0, frames, 1, copy.pixels.data());
  }
  return copy;
}

}  // namespace cardiacseg
