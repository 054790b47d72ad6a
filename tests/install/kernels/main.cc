// Attention over the slices of two stacks, through the kernels' library alone and in C++17. A stack of one slice has
// nothing to look at but itself, so its output is its value, bit for bit. Prints the result; if there is no GPU, the
// launch ends in a sentence.

#include <cuda_runtime_api.h>

#include <cstdint>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <vector>

#include "ops/slice_attention_cuda.h"

namespace {

using cardiacseg::ops::AttentionShape;
using cardiacseg::ops::inter_slice_attention_cuda;
using cardiacseg::ops::ScalarType;

constexpr AttentionShape kTwoStacks{2, 2, 4, 32, 1};  // of one slice each, 4 positions, one head of 32 channels

/// Device memory with `values` in it. Without a GPU it holds nothing, at an address that must not be read.
template <class T>
T* upload(const std::vector<T>& values) {
  void* memory = nullptr;
  if (cudaMalloc(&memory, values.size() * sizeof(T)) != cudaSuccess) return reinterpret_cast<T*>(256);
  cudaMemcpy(memory, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice);
  return static_cast<T*>(memory);
}

bool refuses_heads_that_do_not_fit() {
  AttentionShape shape = kTwoStacks;
  shape.heads = 5;
  try {
    inter_slice_attention_cuda(ScalarType::float32, upload<float>({0}), upload<std::int32_t>({0}), shape,
                               upload<float>({0}), nullptr);
  } catch (const std::invalid_argument& error) {
    std::cout << error.what() << "\n";
    return true;
  }
  return false;
}

bool gives_the_values() {
  std::vector<float> qkv(8 * 3 * 32);
  for (std::size_t i = 0; i < qkv.size(); ++i) qkv[i] = static_cast<float>(i % 17) - 8;
  std::vector<float> found(8 * 32);
  float* output = upload(found);
  inter_slice_attention_cuda(ScalarType::float32, upload(qkv), upload<std::int32_t>({0, 1, 2}), kTwoStacks, output,
                             nullptr);
  if (cudaMemcpy(found.data(), output, found.size() * sizeof(float), cudaMemcpyDeviceToHost) != cudaSuccess) {
    return false;
  }
  for (std::size_t row = 0; row < 8; ++row) {
    for (std::size_t channel = 0; channel < 32; ++channel) {
      if (found[row * 32 + channel] != qkv[row * 96 + 64 + channel]) return false;
    }
  }
  return true;
}

}  // namespace

int main() {
  if (!refuses_heads_that_do_not_fit()) return 1;
  int devices = 0;
  const bool gpu = cudaGetDeviceCount(&devices) == cudaSuccess && devices > 0;
  try {
    const bool values = gives_the_values();
    std::cout << (values ? "the output is the values\n" : "the output is not the values\n");
    return values ? 0 : 1;
  } catch (const std::exception& error) {
    std::cout << (gpu ? "failed: " : "no GPU: ") << error.what() << "\n";
    return gpu ? 1 : 0;
  }
}
