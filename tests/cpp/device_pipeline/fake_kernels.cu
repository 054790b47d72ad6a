#include <cuda_runtime.h>

#include "cuda/launch.h"
#include "fake_kernels.h"

namespace cardiacseg::test {
namespace {

constexpr unsigned kThreads = 128;

__global__ void pixels_kernel(FakeTask task, const float* input, float* output) {
  const std::int64_t index = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (index < task.slices * task.pixels) fake_pixel(task, input, output, index);
}

__global__ void presence_kernel(FakeTask task, const float* input, float* presence) {
  const std::int64_t slice = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (slice < task.slices) fake_presence(task, input, presence, slice);
}

dim3 blocks(std::int64_t threads) { return dim3(static_cast<unsigned>((threads + kThreads - 1) / kThreads)); }

}  // namespace

void enqueue_fake_network(const FakeTask& task, const float* input, float* output, float* presence,
                          ops::DeviceStream stream) {
  cuda::launch("fake network", pixels_kernel, blocks(task.slices * task.pixels), dim3(kThreads), stream, task, input,
               output);
  if (presence == nullptr) return;
  cuda::launch("fake presence", presence_kernel, blocks(task.slices), dim3(kThreads), stream, task, input, presence);
}

}  // namespace cardiacseg::test
