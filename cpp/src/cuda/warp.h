#pragma once

#include <cstdint>

/// Instructions of a whole warp that C++ has no words for. In the layouts below lane l is number t = l % 4 of group
/// g = l / 4, and a register holds two 16-bit elements, the one with the lower index in its lower half (PTX ISA,
/// "Matrix Fragments for mma.m16n8k16", "... m16n8k8", "ldmatrix", "movmatrix", "cp.async").
namespace cardiacseg::cuda {

/// Of 16-bit elements: IEEE 754 binary16, or the upper half of a binary32.
enum class Format { half, bfloat16 };

/// Two numbers of this format, rounded to nearest, in one register.
template <Format format>
__device__ __forceinline__ std::uint32_t pack(float low, float high);

template <>
__device__ __forceinline__ std::uint32_t pack<Format::half>(float low, float high) {
  std::uint32_t pair;
#if __CUDA_ARCH__ >= 800
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
#else
  asm("{.reg .b16 low, high;\n cvt.rn.f16.f32 low, %1;\n cvt.rn.f16.f32 high, %2;\n mov.b32 %0, {low, high};}"
      : "=r"(pair)
      : "f"(low), "f"(high));
#endif
  return pair;
}

/// Rounded to nearest, ties to even; a NaN stays one.
__device__ __forceinline__ std::uint32_t bfloat16_bits(float value) {
  const std::uint32_t bits = __float_as_uint(value);
  return (value == value ? bits + 0x7FFFU + (bits >> 16 & 1U) : bits | 0x00400000U) >> 16;
}

template <>
__device__ __forceinline__ std::uint32_t pack<Format::bfloat16>(float low, float high) {
#if __CUDA_ARCH__ >= 800
  std::uint32_t pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
#else
  return bfloat16_bits(high) << 16 | bfloat16_bits(low);
#endif
}

/// The transpose of an 8 x 8 matrix whose row g the lane brings columns 2t and 2t + 1 of.
__device__ __forceinline__ std::uint32_t transpose(std::uint32_t row) {
  std::uint32_t column;
  asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(column) : "r"(row));
  return column;
}

/// sum += A B, in fp32. A is 16 x 8: a[0] row g, a[1] row g + 8, columns 2t and 2t + 1. B is 8 x 8: rows 2t and 2t + 1
/// of column g. `sum` is 16 x 8: columns 2t and 2t + 1 of row g, then of row g + 8.
template <Format format>
__device__ __forceinline__ void multiply_add(float (&sum)[4], const std::uint32_t (&a)[2], std::uint32_t b);

template <>
__device__ __forceinline__ void multiply_add<Format::half>(float (&sum)[4], const std::uint32_t (&a)[2],
                                                           std::uint32_t b) {
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
               : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
               : "r"(a[0]), "r"(a[1]), "r"(b));
}

template <>
__device__ __forceinline__ void multiply_add<Format::bfloat16>(float (&sum)[4], const std::uint32_t (&a)[2],
                                                               std::uint32_t b) {
#if __CUDA_ARCH__ >= 800
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
               : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
               : "r"(a[0]), "r"(a[1]), "r"(b));
#else
  __trap();  // Turing multiplies no matrices of bfloat16: nothing launches this there.
#endif
}

/// sum += A B, where A is 16 x 16 and B 16 x 8: as above for columns (rows of B) 0 to 7 in a[0], a[1] and b[0], for 8
/// to 15 in a[2], a[3] and b[1].
template <Format format>
__device__ __forceinline__ void multiply_add(float (&sum)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]);

template <>
__device__ __forceinline__ void multiply_add<Format::half>(float (&sum)[4], const std::uint32_t (&a)[4],
                                                           const std::uint32_t (&b)[2]) {
#if __CUDA_ARCH__ >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  const std::uint32_t low[2] = {a[0], a[1]};
  const std::uint32_t high[2] = {a[2], a[3]};
  multiply_add<Format::half>(sum, low, b[0]);
  multiply_add<Format::half>(sum, high, b[1]);
#endif
}

template <>
__device__ __forceinline__ void multiply_add<Format::bfloat16>(float (&sum)[4], const std::uint32_t (&a)[4],
                                                               const std::uint32_t (&b)[2]) {
#if __CUDA_ARCH__ >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  __trap();
#endif
}

__device__ __forceinline__ std::uint32_t shared_address(const void* shared) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(shared));
}

/// Four 8 x 8 matrices from shared memory, each transposed: of matrix m, lane 8 m + r brings the address of row r (16
/// bytes), and matrices[m] receives rows 2t and 2t + 1 of column g.
__device__ __forceinline__ void load_transposed(std::uint32_t (&matrices)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(matrices[0]), "=r"(matrices[1]), "=r"(matrices[2]), "=r"(matrices[3])
               : "r"(shared_address(row))
               : "memory");
}

/// Begins to copy 16 bytes from global to shared memory, or zeros if not `valid`; both are aligned to 16 bytes.
__device__ __forceinline__ void copy_16_bytes(void* shared, const void* global, bool valid) {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
               :
               : "r"(shared_address(shared)), "l"(__cvta_generic_to_global(global)), "r"(valid ? 16 : 0)
               : "memory");
#else
  *static_cast<uint4*>(shared) = valid ? *static_cast<const uint4*>(global) : make_uint4(0, 0, 0, 0);
#endif
}

/// Makes a group of the copies that this thread has begun.
__device__ __forceinline__ void commit_copies() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

/// Waits until of this thread's groups no more than the `pending` latest are under way.
template <int pending>
__device__ __forceinline__ void wait_for_copies() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
#endif
}

}  // namespace cardiacseg::cuda
