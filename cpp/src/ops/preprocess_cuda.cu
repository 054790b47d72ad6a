#include <cuda_runtime.h>

#include <limits>
#include <stdexcept>
#include <string>

#include "cuda/launch.h"
#include "ops/preprocess_common.h"
#include "ops/preprocess_cuda.h"
#include "ops/require.h"

namespace cardiacseg::ops {
namespace {

// A CTA makes a tile of one plane's crop: a warp a row of it, each of its lanes a column.
constexpr int kTileColumns = 32;
constexpr int kTileRows = 16;
constexpr int kWarps = 8;
constexpr int kStagedRows = 128;  // input rows of a tile, shortened, that fit: shrinking by up to 7
constexpr int kFewTaps = 4;       // of a column, whose weights stay in registers

/// One call, by value to the kernel.
struct Job {
  Pixels pixels;
  DeviceTaps rows;
  DeviceTaps columns;
  std::int64_t crop_rows;
  std::int64_t crop_columns;
  unsigned tiles_down;
  unsigned tiles_across;
  bool aligned;  // every pixel lies at a multiple of its size
  const IntensityRange* ranges;
  const CropOrigin* origins;
};

template <class Pixel>
__device__ float pixel_at(const unsigned char* at, bool aligned) {
  return aligned ? static_cast<float>(*reinterpret_cast<const Pixel*>(at)) : load_pixel<Pixel>(at);
}

/// How one column of the resampled grid comes from a row's pixels.
struct Column {
  std::int64_t offset;   // bytes from the row's start to the first pixel
  const float* weights;  // `columns.outputs` apart
  int count;             // 0: outside the grid
};

__device__ Column column_of(const Job& job, std::int64_t index) {
  if (index < 0 || index >= job.columns.outputs) return {0, nullptr, 0};
  return {job.columns.first[index] * job.pixels.column_step, job.columns.weights + index, job.columns.count[index]};
}

template <class Pixel>
__device__ float along_row(const Job& job, const unsigned char* row, const Column& column) {
  const unsigned char* at = row + column.offset;
  const float* weight = column.weights;
  float sum = 0;
#pragma unroll 2
  for (int k = 0; k < column.count; ++k) {
    sum += *weight * pixel_at<Pixel>(at, job.aligned);
    weight += job.columns.outputs;
    at += job.pixels.column_step;
  }
  return sum;
}

/// The first weights of a column, if it has no more.
struct FewWeights {
  float of[kFewTaps];

  __device__ explicit FewWeights(const Job& job, const Column& column) {
#pragma unroll
    for (int k = 0; k < kFewTaps; ++k) of[k] = k < column.count ? column.weights[k * job.columns.outputs] : 0.0F;
  }
};

/// What along_row gives for aligned pixels and a column of at most kFewTaps: all its loads, of whole pixels, are under
/// way before the first is needed.
template <class Pixel>
__device__ float along_row(const Job& job, const unsigned char* row, const Column& column, const FewWeights& weights) {
  const unsigned char* at = row + column.offset;
  Pixel pixels[kFewTaps] = {};
#pragma unroll
  for (int k = 0; k < kFewTaps; ++k) {
    if (k < column.count) pixels[k] = __ldg(reinterpret_cast<const Pixel*>(at));
    at += job.pixels.column_step;
  }
  float sum = 0;
#pragma unroll
  for (int k = 0; k < kFewTaps; ++k) {
    if (k < column.count) sum += weights.of[k] * static_cast<float>(pixels[k]);
  }
  return sum;
}

/// The input rows that a tile needs.
struct Rows {
  int first;
  int count;
};

/// Rows `begin` to `begin` + kTileRows of the resampled grid, as far as they lie on it.
__device__ Rows rows_of(const DeviceTaps& taps, std::int64_t begin) {
  const std::int64_t from = begin < 0 ? 0 : begin;
  const std::int64_t end = begin + kTileRows < taps.outputs ? begin + kTileRows : taps.outputs;
  if (from >= end) return {0, 0};
  return {taps.first[from], taps.first[end - 1] + taps.count[end - 1] - taps.first[from]};
}

/// One pixel of the resampled grid from rows that are already short: `narrow(k)` is row first[index] + k.
template <class Narrow>
__device__ float along_column(const DeviceTaps& taps, std::int64_t index, const Narrow& narrow) {
  const float* weight = taps.weights + index;
  const int count = taps.count[index];
  float sum = 0;
#pragma unroll 1
  for (int k = 0; k < count; ++k) {
    sum += *weight * narrow(k);
    weight += taps.outputs;
  }
  return sum;
}

template <class Pixel, class Output>
__global__ void __launch_bounds__(32 * kWarps) preprocess_kernel(Job job, Output* output) {
  __shared__ float staged[kStagedRows][kTileColumns];
  const unsigned plane = blockIdx.x / job.tiles_across / job.tiles_down;
  const unsigned stack = plane / static_cast<unsigned>(job.pixels.slices);
  const unsigned char* image = job.pixels.row(stack, plane - stack * static_cast<unsigned>(job.pixels.slices), 0);
  const int crop_row = static_cast<int>(blockIdx.x / job.tiles_across % job.tiles_down) * kTileRows;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int crop_column = static_cast<int>(blockIdx.x % job.tiles_across) * kTileColumns + lane;
  const std::int64_t row_origin = job.origins[stack].row;
  const std::int64_t column_origin = job.origins[stack].column;
  const Column column = column_of(job, column_origin + crop_column);
  const Rows rows = rows_of(job.rows, row_origin + crop_row);
  const bool fits = rows.count <= kStagedRows;
  const unsigned char* top = image + rows.first * job.pixels.row_step;
  if (fits && job.aligned && column.count <= kFewTaps) {
    const FewWeights weights(job, column);
#pragma unroll 2
    for (int row = warp; row < rows.count; row += kWarps) {
      staged[row][lane] = along_row<Pixel>(job, top + row * job.pixels.row_step, column, weights);
    }
  } else if (fits) {
#pragma unroll 1
    for (int row = warp; row < rows.count; row += kWarps) {
      staged[row][lane] = along_row<Pixel>(job, top + row * job.pixels.row_step, column);
    }
  }
  __syncthreads();

  if (crop_column >= job.crop_columns) return;
  const NormalizeRule rule = normalize_rule(job.ranges[stack]);
#pragma unroll 1
  for (int row = crop_row + warp; row < crop_row + kTileRows && row < job.crop_rows; row += kWarps) {
    const std::int64_t index = row_origin + row;
    float value = 0;
    if (index >= 0 && index < job.rows.outputs && column.count > 0) {
      const int first = job.rows.first[index];
      value = normalized(along_column(job.rows, index,
                                      [&](int k) {
                                        if (fits) return staged[first - rows.first + k][lane];
                                        return along_row<Pixel>(job, image + (first + k) * job.pixels.row_step, column);
                                      }),
                         rule);
    }
    output[(plane * job.crop_rows + row) * job.crop_columns + crop_column] = from_float<Output>(value);
  }
}

void require_taps(const Pixels& pixels, const DevicePreprocessRules& rules) {
  element_count("pixels of preprocess", {pixels.stacks, pixels.slices, pixels.rows, pixels.columns});
  element_count("resampled grid of preprocess", {rules.rows.outputs, rules.columns.outputs});
  element_count("output of preprocess", {pixels.stacks, pixels.slices, rules.crop_rows, rules.crop_columns});
  if (rules.rows.inputs == pixels.rows && rules.columns.inputs == pixels.columns) return;
  throw std::invalid_argument("preprocess: expected taps for " + std::to_string(pixels.rows) + " rows and " +
                              std::to_string(pixels.columns) + " columns, got them for " +
                              std::to_string(rules.rows.inputs) + " and " + std::to_string(rules.columns.inputs));
}

/// One CTA for each tile.
unsigned tile_count(const Pixels& pixels, std::int64_t tiles_down, std::int64_t tiles_across) {
  const std::int64_t planes = pixels.stacks * pixels.slices;
  if (tiles_across > std::numeric_limits<std::int32_t>::max() / kTileColumns / tiles_down / planes) {
    throw std::invalid_argument("preprocess: " + std::to_string(planes) + " planes of this crop are too many for one " +
                                "call");
  }
  return static_cast<unsigned>(planes * tiles_down * tiles_across);
}

template <class Output>
void launch_for(const Job& job, unsigned tiles, Output* output, DeviceStream stream) {
  visit_pixel_type(job.pixels.type, [&](auto pixel) {
    cuda::launch("preprocess", preprocess_kernel<decltype(pixel), Output>, dim3(tiles), dim3(32 * kWarps), stream, job,
                 output);
  });
}

}  // namespace

void preprocess_cuda(const Pixels& pixels, const DevicePreprocessRules& rules, const IntensityRange* ranges,
                     const CropOrigin* origins, ScalarType type, void* output, DeviceStream stream) {
  require_taps(pixels, rules);
  const std::int64_t tiles_down = (rules.crop_rows + kTileRows - 1) / kTileRows;
  const std::int64_t tiles_across = (rules.crop_columns + kTileColumns - 1) / kTileColumns;
  const unsigned tiles = tile_count(pixels, tiles_down, tiles_across);
  const Job job{pixels,
                rules.rows,
                rules.columns,
                rules.crop_rows,
                rules.crop_columns,
                static_cast<unsigned>(tiles_down),
                static_cast<unsigned>(tiles_across),
                all_aligned(pixels),
                ranges,
                origins};
  switch (type) {
    case ScalarType::float32:
      return launch_for(job, tiles, static_cast<float*>(output), stream);
    case ScalarType::float16:
      return launch_for(job, tiles, static_cast<Half*>(output), stream);
    case ScalarType::bfloat16:
      break;
  }
  throw std::invalid_argument("preprocess: expected an output of float32 or float16, got bfloat16");
}

}  // namespace cardiacseg::ops
