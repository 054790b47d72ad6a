#pragma once

// cpp/src/cuda/warp.h on the simulated GPU. The layouts of the fragments are those of the PTX ISA, sections "Matrix
// Fragments for mma.m16n8k8", "... mma.m16n8k16", "ldmatrix" and "movmatrix".

#include <array>
#include <cstdint>
#include <cstring>
#include <deque>
#include <type_traits>
#include <vector>

#include "ops/scalar.h"
#include "simulator.h"

namespace cardiacseg::cuda {

enum class Format { half, bfloat16 };

namespace simulated {

template <Format format>
using Element = std::conditional_t<format == Format::half, ops::Half, ops::BFloat16>;

}  // namespace simulated

template <Format format>
std::uint32_t pack(float low, float high) {
  using T = simulated::Element<format>;
  return static_cast<std::uint32_t>(ops::from_float<T>(high).bits) << 16 | ops::from_float<T>(low).bits;
}

inline std::uint32_t transpose(std::uint32_t row) {
  const auto& all = simulated_gpu::meet_warp("movmatrix", row);
  const unsigned column = simulated_gpu::lane() / 4;
  std::uint32_t result = 0;
  for (unsigned half = 0; half < 2; ++half) {
    const unsigned from_row = simulated_gpu::lane() % 4 * 2 + half;
    const auto pair = all.of<std::uint32_t>(from_row * 4 + column / 2);
    result |= (pair >> (column % 2 * 16) & 0xFFFFU) << (half * 16);
  }
  return result;
}

namespace simulated {

template <class T>
float element(std::uint32_t pair, unsigned half) {
  return ops::to_float(T{static_cast<std::uint16_t>(pair >> (half * 16))});
}

/// The operands of one lane: registers of A, then of B.
template <int steps>
struct Operands {
  std::uint32_t a[2 * steps];
  std::uint32_t b[steps];
};

/// Row `row` and depth `depth` of A: the lane 4 * (row % 8) + depth % 8 / 2 holds it in register row / 8 + depth / 8
/// * 2.
template <class T, int steps>
float a_at(const simulated_gpu::Meeting& all, unsigned row, unsigned depth) {
  const auto operands = all.of<Operands<steps>>(row % 8 * 4 + depth % 8 / 2);
  return element<T>(operands.a[row / 8 + depth / 8 * 2], depth % 2);
}

template <class T, int steps>
float b_at(const simulated_gpu::Meeting& all, unsigned depth, unsigned column) {
  const auto operands = all.of<Operands<steps>>(column * 4 + depth % 8 / 2);
  return element<T>(operands.b[depth / 8], depth % 2);
}

template <class T, int steps>
void multiply_add(float (&sum)[4], const Operands<steps>& mine) {
  const auto& all = simulated_gpu::meet_warp("mma", mine);
  for (unsigned index = 0; index < 4; ++index) {
    const unsigned row = simulated_gpu::lane() / 4 + index / 2 * 8;
    const unsigned column = simulated_gpu::lane() % 4 * 2 + index % 2;
    for (unsigned depth = 0; depth < 8 * steps; ++depth) {
      sum[index] += a_at<T, steps>(all, row, depth) * b_at<T, steps>(all, depth, column);
    }
  }
}

inline std::uint32_t matrix_pair(const simulated_gpu::Meeting& all, unsigned matrix, unsigned row, unsigned pair) {
  std::uint32_t value;
  std::memcpy(&value, all.of<const std::byte*>(matrix * 8 + row) + pair * 4, sizeof value);
  return value;
}

}  // namespace simulated

template <Format format>
void multiply_add(float (&sum)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
  simulated::multiply_add<simulated::Element<format>, 2>(sum, {{a[0], a[1], a[2], a[3]}, {b[0], b[1]}});
}

template <Format format>
void multiply_add(float (&sum)[4], const std::uint32_t (&a)[2], std::uint32_t b) {
  simulated::multiply_add<simulated::Element<format>, 1>(sum, {{a[0], a[1]}, {b}});
}

inline void load_transposed(std::uint32_t (&matrices)[4], const void* row) {
  const auto& all = simulated_gpu::meet_warp("ldmatrix", static_cast<const std::byte*>(row));
  const unsigned column = simulated_gpu::lane() / 4;
  for (unsigned matrix = 0; matrix < 4; ++matrix) {
    matrices[matrix] = 0;
    for (unsigned half = 0; half < 2; ++half) {
      const unsigned from_row = simulated_gpu::lane() % 4 * 2 + half;
      const std::uint32_t pair = simulated::matrix_pair(all, matrix, from_row, column / 2);
      matrices[matrix] |= (pair >> (column % 2 * 16) & 0xFFFFU) << (half * 16);
    }
  }
}

namespace simulated {

/// A copy that has been asked for and that happens when its thread waits for it.
struct PendingCopy {
  void* to;
  const void* from;
};
using Group = std::vector<PendingCopy>;

/// What a thread has asked for: groups that are closed, the oldest first, then the open one. What is left at a CTA's
/// end is forgotten.
struct Pending {
  unsigned long long block = 0;
  std::deque<Group> groups;
};

inline std::deque<Group>& groups() {
  static std::array<Pending, 1024> all;  // for each thread of a CTA
  Pending& mine = all[simulated_gpu::thread_number()];
  if (mine.block != simulated_gpu::block_number() || mine.groups.empty()) {
    mine = {simulated_gpu::block_number(), {Group{}}};
  }
  return mine.groups;
}

inline void carry_out(const PendingCopy& copy) {
  if (copy.from == nullptr) {
    std::memset(copy.to, 0, 16);
  } else {
    std::memcpy(copy.to, copy.from, 16);
  }
}

}  // namespace simulated

inline void copy_16_bytes(void* shared, const void* global, bool valid) {
  const simulated::PendingCopy copy{shared, valid ? global : nullptr};
  if (simulated_gpu::copies_are_late()) {
    simulated::groups().back().push_back(copy);
  } else {
    simulated::carry_out(copy);
  }
}
inline void commit_copies() { simulated::groups().emplace_back(); }
template <int pending>
void wait_for_copies() {
  std::deque<simulated::Group>& groups = simulated::groups();
  for (; groups.size() > pending + 1; groups.pop_front()) {
    for (const simulated::PendingCopy& copy : groups.front()) simulated::carry_out(copy);
  }
}

}  // namespace cardiacseg::cuda
