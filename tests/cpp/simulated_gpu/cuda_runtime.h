#pragma once

// What the kernels and their tests use of CUDA's <cuda_runtime.h>, on the simulated GPU.

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <tuple>
#include <type_traits>

#include "cuda_runtime_api.h"
#include "simulator.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static __attribute__((section("simulated_shared")))

using simulated_gpu::blockDim;
using simulated_gpu::blockIdx;
using simulated_gpu::gridDim;
using simulated_gpu::threadIdx;

// --- vector types ---

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};

inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

// --- one thread ---

template <class T, std::enable_if_t<std::is_arithmetic_v<T>, int> = 0>
constexpr T min(T a, T b) {
  return b < a ? b : a;
}
template <class T, std::enable_if_t<std::is_arithmetic_v<T>, int> = 0>
constexpr T max(T a, T b) {
  return a < b ? b : a;
}

template <class To, class From>
To simulated_bit_cast(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}
inline unsigned __float_as_uint(float value) { return simulated_bit_cast<unsigned>(value); }
inline float __uint_as_float(unsigned bits) { return simulated_bit_cast<float>(bits); }
inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline int __ffs(int bits) { return __builtin_ffs(bits); }
inline int __clz(int bits) { return bits == 0 ? 32 : __builtin_clz(static_cast<unsigned>(bits)); }

// CTAs take turns and fibres give up theirs in barriers alone, so two accesses are as good as one; that each is atomic
// is for ThreadSanitizer to see.
template <class T, class Change>
T simulated_atomic(T* address, const Change& change) {
  const T before = __atomic_load_n(address, __ATOMIC_RELAXED);
  __atomic_store_n(address, change(before), __ATOMIC_RELAXED);
  return before;
}
template <class T>
T atomicAdd(T* address, T value) {
  return simulated_atomic(address, [&](T before) { return static_cast<T>(before + value); });
}
template <class T>
T atomicMin(T* address, T value) {
  return simulated_atomic(address, [&](T before) { return min(before, value); });
}
template <class T>
T atomicMax(T* address, T value) {
  return simulated_atomic(address, [&](T before) { return max(before, value); });
}
inline void __threadfence() {}

template <class T>
T __ldg(const T* address) {
  return *address;
}

// --- a warp ---

template <class T>
T __shfl_sync(unsigned, T value, int lane, int width = 32) {
  const auto& all = simulated_gpu::meet_warp("shfl", value);
  const unsigned first = simulated_gpu::lane() / static_cast<unsigned>(width) * static_cast<unsigned>(width);
  return all.template of<T>(first + static_cast<unsigned>(lane) % static_cast<unsigned>(width));
}
template <class T>
T __shfl_xor_sync(unsigned, T value, int mask) {
  return simulated_gpu::meet_warp("shfl_xor", value)
      .template of<T>(simulated_gpu::lane() ^ static_cast<unsigned>(mask));
}
template <class T>
T __shfl_up_sync(unsigned, T value, unsigned delta) {
  const auto& all = simulated_gpu::meet_warp("shfl_up", value);
  return simulated_gpu::lane() >= delta ? all.template of<T>(simulated_gpu::lane() - delta) : value;
}
inline void __syncwarp(unsigned = 0xFFFFFFFFU) { simulated_gpu::synchronize_warp(); }
template <class Predicate>
unsigned simulated_lanes_where(const simulated_gpu::Meeting& all, const Predicate& predicate) {
  unsigned lanes = 0;
  for (unsigned lane = 0; lane < 32; ++lane) {
    if ((all.present >> lane & 1U) != 0 && predicate(lane)) lanes |= 1U << lane;
  }
  return lanes;
}
inline unsigned __ballot_sync(unsigned, int vote) {
  const auto& all = simulated_gpu::meet_warp("ballot", vote);
  return simulated_lanes_where(all, [&](unsigned lane) { return all.of<int>(lane) != 0; });
}
inline int __any_sync(unsigned mask, int vote) { return __ballot_sync(mask, vote) != 0; }
template <class T>
unsigned __match_any_sync(unsigned, T value) {
  const auto& all = simulated_gpu::meet_warp("match", value);
  return simulated_lanes_where(all, [&](unsigned lane) { return all.template of<T>(lane) == value; });
}

// --- a CTA ---

inline void __syncthreads() { simulated_gpu::meet_block(false); }
inline int __syncthreads_or(int vote) { return simulated_gpu::meet_block(vote != 0); }

// --- launches ---

struct cudaLaunchConfig_t {
  dim3 gridDim;
  dim3 blockDim;
  std::size_t dynamicSmemBytes;
  cudaStream_t stream;
};

template <class... Parameters, class... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                               Arguments&&... arguments) {
  ++simulated_kernel_launches;
  const dim3 grid = config->gridDim;
  const dim3 block = config->blockDim;
  const std::tuple<std::decay_t<Parameters>...> copies(arguments...);
  return simulated_enqueue(config->stream, [=] {
    simulated_gpu::run_grid({grid.x, grid.y, grid.z}, {block.x, block.y, block.z}, [&] { std::apply(kernel, copies); });
  });
}
