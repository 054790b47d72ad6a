#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "ops/intensity_range.h"
#include "ops/lines.h"
#include "ops/percentile_ranks.h"
#include "ops/pixel_keys.h"

/// The first half of percentile_range: counting a stack's keys, for percentile_range_cuda.cu alone.
namespace cardiacseg::ops {
namespace {

constexpr unsigned kThreads = 256;
constexpr unsigned kAllLanes = 0xFFFFFFFFU;
constexpr std::int64_t kShare = 8192;        // pixels that a CTA counts, or more
constexpr std::int64_t kCtasTogether = 6;    // on a multiprocessor of 228 KB of shared memory
constexpr std::int64_t kSharedSlots = 1024;  // of stacks that are one CTA's work

/// Counts of one stack in device memory: of each upper byte of a 16-bit key, then of each key.
constexpr unsigned kCoarse = 256;
constexpr unsigned kTable = kCoarse + 65536;

template <class Pixel>
constexpr int kTables = PixelKeys<Pixel>::kShort ? 1 : kRanks;  // the second pass has one for each requested upper half

/// What the first of two passes leaves to the second: upper halves of keys, and ranks among the values that have them.
struct Halves {
  unsigned half[kRanks];
  unsigned rest[kRanks];
};

/// One call, by value to the kernels.
struct Job {
  Lines lines;
  std::int64_t stacks;
  std::int64_t stack_step;
  unsigned groups;       // of pixels that one load may bring, in a stack
  unsigned line_groups;  // and in a line
  unsigned parts;        // CTAs of a stack
  unsigned slots;        // workspaces
  bool aligned;          // every pixel lies at a multiple of its size
  bool vectors;          // and groups at multiples of 16 bytes
  PercentileRanks ranks;
  unsigned* tables;   // [slots, kTables, kTable]
  unsigned* tickets;  // [slots]
  Halves* halves;     // [stacks], for two passes
  IntensityRange* ranges;
};

/// Pixels of a group: 16 bytes.
template <class Pixel>
constexpr int kGroup = 16 / static_cast<int>(sizeof(Pixel));

template <class Pixel>
struct Group {
  Pixel pixel[kGroup<Pixel>];
  int count;
};

template <class Pixel>
__device__ Group<Pixel> load_group(const Job& job, const unsigned char* stack, unsigned index) {
  Group<Pixel> group;
  const unsigned line = index / job.line_groups;
  const unsigned outer = line / static_cast<unsigned>(job.lines.inner);
  const unsigned inner = line - outer * static_cast<unsigned>(job.lines.inner);
  const std::int64_t from = static_cast<std::int64_t>(index - line * job.line_groups) * kGroup<Pixel>;
  const unsigned char* at = stack + outer * job.lines.outer_step + inner * job.lines.inner_step + from * job.lines.step;
  const std::int64_t left = job.lines.length - from;
  group.count = left < kGroup<Pixel> ? static_cast<int>(left) : kGroup<Pixel>;
  if (job.vectors && group.count == kGroup<Pixel>) {
    const uint4 loaded = *reinterpret_cast<const uint4*>(at);
    std::memcpy(group.pixel, &loaded, sizeof loaded);
    return group;
  }
#pragma unroll
  for (int i = 0; i < kGroup<Pixel>; ++i) {
    if (i >= group.count) break;
    if (job.aligned) {
      group.pixel[i] = *reinterpret_cast<const Pixel*>(at + i * job.lines.step);
    } else {
      std::memcpy(&group.pixel[i], at + i * job.lines.step, sizeof(Pixel));
    }
  }
  return group;
}

/// The 16-bit keys that a CTA counts in shared memory: two spans, and the key of zero. Of integers of two bytes those
/// from 0 or -1024 on; of floats both signs of sizes from 2^-15 up to 2^15, by upper halves of their keys. With 7,681
/// counts, three CTAs share the 100 KB of an sm_86 and two the 64 KB of an sm_75.
template <class Pixel>
struct Window {
  static constexpr bool kShort = PixelKeys<Pixel>::kShort;
  static constexpr bool kSigned = std::is_signed<Pixel>::value;
  static constexpr unsigned kSpan = sizeof(Pixel) == 1 ? 128 : 3840;
  static constexpr unsigned kBins = 2 * kSpan + 1;
  static constexpr unsigned kZero = kShort ? PixelKeys<Pixel>::kOffset : 0x8000U;
  static constexpr unsigned kFloats = (127 - 15) << 7;  // 2^-15 without its sign
  static constexpr unsigned kLower = !kShort                         ? 0x8000U - kFloats - kSpan
                                     : kSigned && sizeof(Pixel) == 2 ? kZero - 1024
                                                                     : 0;
  static constexpr unsigned kUpper = !kShort ? 0x8000U + kFloats : kLower + kSpan;

  /// kBins if the key is outside.
  __device__ static unsigned bin(unsigned key) {
    if (key == kZero) return kBins - 1;
    if (key - kLower < kSpan) return key - kLower;
    return key - kUpper < kSpan ? key - kUpper + kSpan : kBins;
  }
  __device__ static unsigned key(unsigned bin) {
    if (bin == kBins - 1) return kZero;
    return bin < kSpan ? bin + kLower : bin - kSpan + kUpper;
  }
};

/// Counts of the CTA's own.
template <class Pixel>
struct OwnCounts {
  unsigned window[Window<Pixel>::kBins];
  unsigned coarse[kCoarse];

  /// `count` neighbors have this key.
  __device__ void add(unsigned key, unsigned count, unsigned* table) {
    const unsigned bin = Window<Pixel>::bin(key);
    if (bin < Window<Pixel>::kBins) {
      atomicAdd(&window[bin], count);
    } else {
      atomicAdd(&table[kCoarse + key], count);
      atomicAdd(&coarse[key >> 8], count);
    }
  }

  __device__ void clear() {
    for (unsigned bin = threadIdx.x; bin < Window<Pixel>::kBins; bin += kThreads) window[bin] = 0;
    coarse[threadIdx.x] = 0;
  }

  /// Adds all to the stack's table and clears it. Barriers inside.
  __device__ void flush(unsigned* table) {
    __syncthreads();
    for (unsigned bin = threadIdx.x; bin < Window<Pixel>::kBins; bin += kThreads) {
      const unsigned count = window[bin];
      if (count == 0) continue;
      window[bin] = 0;
      const unsigned key = Window<Pixel>::key(bin);
      atomicAdd(&table[kCoarse + key], count);
      atomicAdd(&coarse[key >> 8], count);
    }
    __syncthreads();
    const unsigned count = coarse[threadIdx.x];
    coarse[threadIdx.x] = 0;
    if (count > 0) atomicAdd(&table[threadIdx.x], count);
  }
};

struct Span {
  std::uint64_t begin;
  std::uint64_t end;
};

/// Groups of the stack that this CTA counts.
__device__ Span own_groups(const Job& job) {
  const std::uint64_t groups = job.groups;
  const unsigned part = blockIdx.x % job.parts;
  return {groups * part / job.parts, groups * (part + 1) / job.parts};
}

/// Counts the 16-bit keys of the CTA's share of a stack, or the upper halves of longer ones.
template <class Pixel>
__device__ void count_keys(const Job& job, const unsigned char* stack, OwnCounts<Pixel>& own, unsigned* table) {
  constexpr int shift = PixelKeys<Pixel>::kShort ? 0 : 16;
  const Span span = own_groups(job);
  unsigned running = 0;  // equal neighbors are counted before they are added
  unsigned count = 0;
  for (std::uint64_t index = span.begin + threadIdx.x; index < span.end; index += kThreads) {
    const Group<Pixel> group = load_group<Pixel>(job, stack, static_cast<unsigned>(index));
#pragma unroll
    for (int i = 0; i < kGroup<Pixel>; ++i) {
      if (i >= group.count) break;
      const unsigned key = PixelKeys<Pixel>::key(group.pixel[i]) >> shift;
      if (key != running) {
        if (count > 0) own.add(running, count, table);
        running = key;
        count = 0;
      }
      ++count;
    }
  }
  if (count > 0) own.add(running, count, table);
}

/// Counts the lower halves of the keys that have one of these upper halves. Lanes with equal keys add once.
template <class Pixel>
__device__ void count_lower_halves(const Job& job, const unsigned char* stack, const Halves& requested,
                                   unsigned* tables, unsigned* coarse) {
  const Span span = own_groups(job);
  const unsigned lane = threadIdx.x % 32;
  for (std::uint64_t first = span.begin + threadIdx.x - lane; first < span.end; first += kThreads) {
    Group<Pixel> group;
    group.count = 0;
    if (first + lane < span.end) group = load_group<Pixel>(job, stack, static_cast<unsigned>(first + lane));
#pragma unroll
    for (int i = 0; i < kGroup<Pixel>; ++i) {
      const unsigned key = i < group.count ? PixelKeys<Pixel>::key(group.pixel[i]) : 0;
      unsigned slot = kRanks;
#pragma unroll
      for (int k = kRanks - 1; k >= 0; --k) slot = i < group.count && key >> 16 == requested.half[k] ? k : slot;
      if (!__any_sync(kAllLanes, slot < kRanks)) continue;
      const unsigned code = slot << 16 | (key & 0xFFFFU);
      const unsigned peers = __match_any_sync(kAllLanes, code);
      if (slot < kRanks && lane + 1 == static_cast<unsigned>(__ffs(static_cast<int>(peers)))) {
        const auto count = static_cast<unsigned>(__popc(peers));
        atomicAdd(&tables[slot * kTable + kCoarse + (key & 0xFFFFU)], count);
        atomicAdd(&coarse[slot * kCoarse + (key >> 8 & 0xFFU)], count);
      }
    }
  }
}

}  // namespace
}  // namespace cardiacseg::ops
