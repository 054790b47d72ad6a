#include <cuda_runtime.h>

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <string>

#include "cuda/launch.h"
#include "ops/lines.h"
#include "ops/percentile_range_cuda.h"
#include "ops/percentile_ranks.h"
#include "ops/pixel_keys.h"
#include "ops/require.h"

namespace cardiacseg::ops {
namespace {

constexpr unsigned kThreads = 256;
constexpr unsigned kAllLanes = 0xFFFFFFFFU;
constexpr std::int64_t kShare = 8192;        // pixels that a CTA counts
constexpr std::int64_t kSharedSlots = 1024;  // of stacks that are one CTA's work

/// Counts of one stack in device memory: of each upper byte of a 16-bit key, then of each key.
constexpr unsigned kCoarse = 256;
constexpr unsigned kTable = kCoarse + 65536;

template <class Pixel>
constexpr int kTables = PixelKeys<Pixel>::kShort ? 1 : kRanks;  // the second pass has one for each upper half wanted

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

  /// kBins where the key is outside.
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

  /// `count` neighbours have this key.
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
  unsigned running = 0;  // equal neighbours are counted before they are added
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
__device__ void count_lower_halves(const Job& job, const unsigned char* stack, const Halves& wanted, unsigned* tables,
                                   unsigned* coarse) {
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
      for (int k = kRanks - 1; k >= 0; --k) slot = i < group.count && key >> 16 == wanted.half[k] ? k : slot;
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

/// Where a rank lies among 256 counts.
struct Place {
  unsigned bin;
  unsigned rest;  // its rank among the values of the bin
};

/// By one warp: each lane takes eight counts. All lanes get the place.
__device__ Place find(const unsigned* counts, unsigned rank) {
  const unsigned lane = threadIdx.x % 32;
  unsigned count[8];
  unsigned sum = 0;
#pragma unroll
  for (unsigned i = 0; i < 8; ++i) sum += count[i] = counts[8 * lane + i];
  unsigned end = sum;
#pragma unroll
  for (unsigned step = 1; step < 32; step *= 2) {
    const unsigned below = __shfl_up_sync(kAllLanes, end, step);
    if (lane >= step) end += below;
  }
  unsigned bin = 8 * lane;
  unsigned rest = rank - (end - sum);
  const bool here = rank < end && rank >= end - sum;
  bool found = false;
#pragma unroll
  for (unsigned i = 0; i < 8; ++i) {
    found = found || rest < count[i];
    if (!found) {
      rest -= count[i];
      ++bin;
    }
  }
  const int owner = __ffs(static_cast<int>(__ballot_sync(kAllLanes, here))) - 1;
  return {__shfl_sync(kAllLanes, bin, owner), __shfl_sync(kAllLanes, rest, owner)};
}

/// The key of a rank in a stack's table. By one warp.
__device__ Place find_key(const unsigned* table, unsigned rank) {
  const Place coarse = find(table, rank);
  const Place fine = find(table + kCoarse + coarse.bin * 256, coarse.rest);
  return {coarse.bin * 256 + fine.bin, fine.rest};
}

/// By one CTA, each warp some of the bytes.
__device__ void clear_table(unsigned* table) {
  const unsigned lane = threadIdx.x % 32;
  for (unsigned byte = threadIdx.x / 32; byte < kCoarse; byte += kThreads / 32) {
    if (table[byte] == 0) continue;
    __syncwarp();
    for (unsigned i = lane; i < 256; i += 32) table[kCoarse + byte * 256 + i] = 0;
    if (lane == 0) table[byte] = 0;
  }
}

/// Whether this CTA is the last of its stack to come here: what the others counted is then there to be read.
__device__ bool comes_last(const Job& job, unsigned* ticket) {
  __shared__ bool last;
  __syncthreads();
  if (threadIdx.x == 0) {
    __threadfence();
    last = atomicAdd(ticket, 1U) + 1 == job.parts;
    if (last) *ticket = 0;
    __threadfence();
  }
  __syncthreads();
  return last;
}

template <class Pixel>
__device__ void write_range(const Job& job, const unsigned (&key)[kRanks], IntensityRange* range) {
  float value[kRanks];
#pragma unroll
  for (int k = 0; k < kRanks; ++k) value[k] = PixelKeys<Pixel>::value(key[k]);
  const bool finite =
      PixelKeys<Pixel>::kShort || (finite_key_half(key[0] >> 16) && finite_key_half(key[kRanks - 1] >> 16));
  const float nan = float_of(0x7FC00000U);
  *range = finite ? range_of_values(value, job.ranks) : IntensityRange{nan, nan};
}

/// The only pass over short pixels, the first over others. Shared CTAs take several stacks, one after the other.
template <class Pixel>
__global__ void __launch_bounds__(kThreads) percentile_keys(Job job) {
  __shared__ OwnCounts<Pixel> own;
  __shared__ unsigned found[kRanks];
  const std::int64_t slot = blockIdx.x / job.parts;
  unsigned* table = job.tables + slot * kTables<Pixel> * kTable;
  const unsigned warp = threadIdx.x / 32;
  own.clear();
  for (std::int64_t stack = slot; stack < job.stacks; stack += job.slots) {
    __syncthreads();
    count_keys<Pixel>(job, job.lines.start + stack * job.stack_step, own, table);
    own.flush(table);
    if (!comes_last(job, &job.tickets[slot])) continue;
    if (warp < kRanks) {
      const Place place = find_key(table, job.ranks.rank[warp]);
      if (threadIdx.x % 32 == 0) found[warp] = place.bin;
      if (!PixelKeys<Pixel>::kShort && threadIdx.x % 32 == 0) {
        job.halves[stack].half[warp] = place.bin;
        job.halves[stack].rest[warp] = place.rest;
      }
    }
    __syncthreads();
    clear_table(table);
    if (PixelKeys<Pixel>::kShort && threadIdx.x == 0) write_range<Pixel>(job, found, &job.ranges[stack]);
  }
}

/// The second pass over pixels that are not short.
template <class Pixel>
__global__ void __launch_bounds__(kThreads) percentile_lower_halves(Job job) {
  __shared__ unsigned coarse[kRanks * kCoarse];
  __shared__ unsigned found[kRanks];
  const std::int64_t slot = blockIdx.x / job.parts;
  unsigned* tables = job.tables + slot * kRanks * kTable;
  const unsigned warp = threadIdx.x / 32;
  for (unsigned i = threadIdx.x; i < kRanks * kCoarse; i += kThreads) coarse[i] = 0;
  for (std::int64_t stack = slot; stack < job.stacks; stack += job.slots) {
    const Halves wanted = job.halves[stack];
    __syncthreads();
    count_lower_halves<Pixel>(job, job.lines.start + stack * job.stack_step, wanted, tables, coarse);
    __syncthreads();
    for (unsigned i = threadIdx.x; i < kRanks * kCoarse; i += kThreads) {
      if (coarse[i] > 0) atomicAdd(&tables[i / kCoarse * kTable + i % kCoarse], coarse[i]);
      coarse[i] = 0;
    }
    if (!comes_last(job, &job.tickets[slot])) continue;
    if (warp < kRanks) {
      unsigned first = warp;  // equal halves are counted in the first's table
#pragma unroll
      for (int k = kRanks - 1; k >= 0; --k) first = job.halves[stack].half[warp] == wanted.half[k] ? k : first;
      const Place place = find_key(tables + first * kTable, job.halves[stack].rest[warp]);
      if (threadIdx.x % 32 == 0) found[warp] = job.halves[stack].half[warp] << 16 | place.bin;
    }
    __syncthreads();
    for (unsigned k = 0; k < kRanks; ++k) clear_table(tables + k * kTable);
    if (threadIdx.x == 0) {
      write_range<Pixel>(job, found, &job.ranges[stack]);
      job.halves[stack] = Halves{};
    }
  }
}

/// Bytes of the workspace's parts.
struct Workspace {
  std::size_t tables;
  std::size_t tickets;
  std::size_t halves;
};

std::int64_t slot_count(std::int64_t stacks, std::int64_t voxels) {
  return voxels <= kShare ? std::min(stacks, kSharedSlots) : stacks;
}

Workspace workspace_of(PixelType type, std::int64_t stacks, std::int64_t voxels) {
  element_count("percentile_range", {stacks, voxels});
  Workspace bytes{};
  visit_pixel_type(type, [&](auto pixel) {
    using Pixel = decltype(pixel);
    const std::size_t slots =
        element_count("percentile_range", {slot_count(stacks, voxels), kTables<Pixel>, 4 * kTable});
    bytes = {slots, slots / kTables<Pixel> / kTable, 0};
    if (!PixelKeys<Pixel>::kShort) bytes.halves = static_cast<std::size_t>(stacks) * sizeof(Halves);
  });
  return bytes;
}

bool in_vectors(const Lines& lines, std::int64_t bytes, std::int64_t stack_step) {
  return lines.step == bytes && reinterpret_cast<std::uintptr_t>(lines.start) % 16 == 0 && stack_step % 16 == 0 &&
         lines.outer_step % 16 == 0 && lines.inner_step % 16 == 0;
}

Job job_of(const Pixels& pixels, const PercentileRanks& ranks, std::int64_t group, IntensityRange* ranges) {
  Job job{};
  job.lines = lines_of(pixels);
  job.stacks = pixels.stacks;
  job.stack_step = pixels.stacks > 1 ? pixels.stack_step : 0;
  const std::int64_t voxels = pixels.slices * pixels.rows * pixels.columns;
  const std::int64_t line_groups = (job.lines.length + group - 1) / group;
  const std::int64_t groups = line_groups * job.lines.outer * job.lines.inner;
  const std::int64_t parts = voxels <= kShare ? 1 : (groups * group + kShare - 1) / kShare;
  job.groups = static_cast<unsigned>(groups);
  job.line_groups = static_cast<unsigned>(line_groups);
  job.parts = static_cast<unsigned>(parts);
  job.slots = static_cast<unsigned>(std::min<std::int64_t>(slot_count(pixels.stacks, voxels), 0xFFFFFFFFU));
  if (job.slots > std::numeric_limits<std::int32_t>::max() / parts) {
    throw std::invalid_argument("percentile_range: " + std::to_string(pixels.stacks) + " stacks of " +
                                std::to_string(voxels) + " pixels are too many for one call");
  }
  job.aligned = all_aligned(pixels);
  job.vectors = in_vectors(job.lines, static_cast<std::int64_t>(size_of(pixels.type)), job.stack_step);
  job.ranks = ranks;
  job.ranges = ranges;
  return job;
}

void place(Job& job, const Workspace& bytes, void* workspace) {
  auto* at = static_cast<unsigned char*>(workspace);
  job.tables = reinterpret_cast<unsigned*>(at);
  job.tickets = reinterpret_cast<unsigned*>(at + bytes.tables);
  job.halves = reinterpret_cast<Halves*>(at + bytes.tables + bytes.tickets);
}

template <class Pixel>
void launch_passes(const Job& job, DeviceStream stream, std::true_type) {
  cuda::launch("percentile_range", percentile_keys<Pixel>, dim3(job.parts * job.slots), dim3(kThreads), stream, job);
}

template <class Pixel>
void launch_passes(const Job& job, DeviceStream stream, std::false_type) {
  launch_passes<Pixel>(job, stream, std::true_type());
  cuda::launch("percentile_range", percentile_lower_halves<Pixel>, dim3(job.parts * job.slots), dim3(kThreads), stream,
               job);
}

}  // namespace

std::size_t percentile_range_workspace(PixelType type, std::int64_t stacks, std::int64_t voxels) {
  const Workspace bytes = workspace_of(type, stacks, voxels);
  return bytes.tables + bytes.tickets + bytes.halves;
}

void percentile_range_cuda(const Pixels& pixels, double lower, double upper, void* workspace, IntensityRange* ranges,
                           DeviceStream stream) {
  element_count("percentile_range", {pixels.stacks, pixels.slices, pixels.rows, pixels.columns});
  const std::int64_t voxels = pixels.slices * pixels.rows * pixels.columns;
  const PercentileRanks ranks = percentile_ranks(voxels, lower, upper);
  const Workspace bytes = workspace_of(pixels.type, pixels.stacks, voxels);
  visit_pixel_type(pixels.type, [&](auto pixel) {
    using Pixel = decltype(pixel);
    Job job = job_of(pixels, ranks, kGroup<Pixel>, ranges);
    place(job, bytes, workspace);
    launch_passes<Pixel>(job, stream, std::integral_constant<bool, PixelKeys<Pixel>::kShort>());
  });
}

}  // namespace cardiacseg::ops
