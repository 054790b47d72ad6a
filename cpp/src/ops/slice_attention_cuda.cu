#include <cuda_runtime.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "cuda/launch.h"
#include "ops/slice_attention_cuda.h"
#include "ops/slice_attention_inter.cuh"
#include "ops/slice_attention_intra.cuh"
#include "ops/slice_attention_scalar.cuh"

namespace cardiacseg::ops {
namespace {

enum class Reach { inter_slice, intra_slice };

/// One call, its arguments checked.
struct Call {
  Reach reach;
  const void* qkv;
  const std::int32_t* cu_slices;  ///< null unless inter-slice
  AttentionShape shape;
  void* output;
  DeviceStream stream;
};

int attribute(cudaDeviceAttr which) {
  int device = 0;
  int value = 0;
  cuda::check(cudaGetDevice(&device), "slice attention: the device");
  cuda::check(cudaDeviceGetAttribute(&value, which, device), "slice attention: the device's properties");
  return value;
}

AttentionSizes sizes_of(const AttentionShape& shape) {
  const double size = static_cast<double>(shape.channels) / static_cast<double>(shape.heads);
  return {static_cast<int>(shape.positions), static_cast<int>(shape.channels), static_cast<int>(shape.heads),
          static_cast<float>(1.4426950408889634 / std::sqrt(size))};
}

template <class T, int size>
void launch_inter_slice(const Call& call) {
  const auto heads = static_cast<unsigned>(call.shape.heads);
  const unsigned warps = std::min<unsigned>(heads, kInterSliceWarps);
  cuda::launch("inter-slice attention", inter_slice_kernel<T, size>,
               dim3(static_cast<unsigned>(call.shape.stacks * call.shape.positions), (heads + warps - 1) / warps),
               dim3(32, warps), call.stream, static_cast<const T*>(call.qkv), call.cu_slices, sizes_of(call.shape),
               static_cast<T*>(call.output));
}

/// Warps of a CTA: a slice's queries in as few CTAs as hold them, in more if multiprocessors would otherwise be idle.
int intra_slice_warps(const AttentionShape& shape) {
  const auto tiles = static_cast<int>((shape.positions + kTileQueries - 1) / kTileQueries);
  const std::int64_t target = 2 * static_cast<std::int64_t>(attribute(cudaDevAttrMultiProcessorCount));
  const int fewest = (tiles + kIntraSliceWarps - 1) / kIntraSliceWarps;
  int warps = (tiles + fewest - 1) / fewest;
  while (warps > 2 && shape.slices * shape.heads * ((tiles + warps - 1) / warps) < target) warps = (warps + 1) / 2;
  return warps;
}

template <class T, int size>
void launch_intra_slice(const Call& call) {
  const int warps = intra_slice_warps(call.shape);
  const auto queries = static_cast<std::int64_t>(warps) * kTileQueries;
  const std::int64_t parts = (call.shape.positions + queries - 1) / queries;
  cuda::launch("intra-slice attention", intra_slice_kernel<T, size>,
               dim3(static_cast<unsigned>(call.shape.slices * call.shape.heads * parts)),
               dim3(32, static_cast<unsigned>(warps)), call.stream, static_cast<const T*>(call.qkv),
               sizes_of(call.shape), static_cast<int>(parts), static_cast<T*>(call.output));
}

template <class T, int size>
void launch_scalar(const Call& call) {
  const std::int64_t tokens = call.shape.slices * call.shape.positions;
  cuda::launch("slice attention", scalar_kernel<T, size>,
               dim3(static_cast<unsigned>((tokens + 127) / 128), static_cast<unsigned>(call.shape.heads)), dim3(128),
               call.stream, static_cast<const T*>(call.qkv), call.cu_slices, static_cast<int>(call.shape.stacks),
               sizes_of(call.shape), tokens, static_cast<T*>(call.output));
}

template <class T, int size>
void launch_on_tensor_cores(const Call& call) {
  call.reach == Reach::inter_slice ? launch_inter_slice<T, size>(call) : launch_intra_slice<T, size>(call);
}

template <int size>
void launch_for_type(ScalarType type, const Call& call) {
  if (type == ScalarType::float32) return launch_scalar<float, size>(call);
  if (type == ScalarType::float16) return launch_on_tensor_cores<Half, size>(call);
  if (attribute(cudaDevAttrComputeCapabilityMajor) < 8) return launch_scalar<BFloat16, size>(call);
  launch_on_tensor_cores<BFloat16, size>(call);
}

void require_alignment(const char* what, const void* address) {
  if (address != nullptr && reinterpret_cast<std::uintptr_t>(address) % 16 == 0) return;
  throw std::invalid_argument(std::string(what) +
                              " of slice attention: expected memory aligned to 16 bytes, got address " +
                              std::to_string(reinterpret_cast<std::uintptr_t>(address)));
}

/// What a kernel counts in 32 bits, a grid's size included, must fit there.
void require_countable(const AttentionShape& shape) {
  constexpr std::int64_t largest = std::numeric_limits<std::int32_t>::max();
  const std::int64_t tiles = (shape.positions + kTileQueries - 1) / kTileQueries;
  const bool tokens = shape.slices <= largest / shape.positions && shape.stacks <= largest / shape.positions;
  const bool grid = tokens && shape.heads <= 65535 && shape.slices <= largest / shape.heads / tiles;
  if (grid && shape.channels <= largest / 24) return;
  throw std::invalid_argument("slice attention: expected sizes that a CUDA grid can hold, got " +
                              std::to_string(shape.slices) + " slices of " + std::to_string(shape.positions) +
                              " positions and " + std::to_string(shape.heads) + " heads");
}

void launch(ScalarType type, const Call& call) {
  require_attention_shape(call.shape);
  require_alignment("qkv", call.qkv);
  require_alignment("output", call.output);
  require_countable(call.shape);
  switch (call.shape.channels / call.shape.heads) {
    case 8:
      return launch_for_type<8>(type, call);
    case 16:
      return launch_for_type<16>(type, call);
    case 32:
      return launch_for_type<32>(type, call);
    case 64:
      return launch_for_type<64>(type, call);
    default:
      throw std::invalid_argument("slice attention: expected heads of 8, 16, 32 or 64 channels, got " +
                                  std::to_string(call.shape.channels / call.shape.heads));
  }
}

}  // namespace

void inter_slice_attention_cuda(ScalarType type, const void* qkv, const std::int32_t* cu_slices,
                                const AttentionShape& shape, void* output, DeviceStream stream) {
  if (cu_slices == nullptr) throw std::invalid_argument("cu_slices of slice attention: expected an address, got none");
  launch(type, {Reach::inter_slice, qkv, cu_slices, shape, output, stream});
}

void intra_slice_attention_cuda(ScalarType type, const void* qkv, const AttentionShape& shape, void* output,
                                DeviceStream stream) {
  launch(type, {Reach::intra_slice, qkv, nullptr, shape, output, stream});
}

}  // namespace cardiacseg::ops
