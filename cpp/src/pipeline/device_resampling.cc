#include "pipeline/device_resampling.h"

#include <vector>

#include "cuda/copy.h"

namespace cardiacseg {
namespace {

template <class T>
cuda::DeviceBuffer on_device(const std::vector<T>& values, ops::DeviceStream stream) {
  cuda::DeviceBuffer buffer(values.size() * sizeof(T));
  cuda::upload(buffer.data(), values.data(), buffer.bytes(), stream);
  return buffer;
}

}  // namespace

DeviceAxis::DeviceAxis(const ops::ResampleTaps& taps, ops::DeviceStream stream)
    : inputs_(taps.inputs),
      outputs_(taps.outputs),
      first_(on_device(taps.first, stream)),
      count_(on_device(taps.count, stream)),
      weights_(on_device(taps.weights, stream)) {}

ops::DeviceTaps DeviceAxis::taps() const {
  return {inputs_, outputs_, first_.as<std::int32_t>(), count_.as<std::int32_t>(), weights_.as<float>()};
}

DeviceResampling::DeviceResampling(const CineShape& shape, const Spacing& spacing, double target,
                                   ops::DeviceStream stream)
    : rows_(ops::resample_taps(shape.rows, spacing.row, target), stream),
      columns_(ops::resample_taps(shape.columns, spacing.column, target), stream),
      grid_{shape.slices, rows_.taps().outputs, columns_.taps().outputs} {}

void DeviceResampling::run(const ops::Pixels& stacks, const ops::IntensityRange* ranges, const ops::CropOrigin* origins,
                           const Grid& crop, float* output, ops::DeviceStream stream) const {
  const ops::DevicePreprocessRules rules{rows_.taps(), columns_.taps(), crop.rows, crop.columns};
  ops::preprocess_cuda(stacks, rules, ranges, origins, ops::ScalarType::float32, output, stream);
}

}  // namespace cardiacseg
