#pragma once

// The pipeline on a GPU and that on the host with the same pointwise networks: all that they give must be equal. Built
// for the simulated GPU and, with CUDA, for a real one.

#include <cuda_runtime.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <limits>
#include <optional>
#include <thread>

#include "check.h"
#include "cuda/device.h"
#include "fake_network.h"
#include "ops/pixels.h"
#include "pipeline/pipeline.h"
#include "require_device.h"

namespace cardiacseg::test {

constexpr Spacing kSpacing{8.0, 1.4, 1.3};

/// Calls so far that took memory; on a real GPU nobody counts them.
inline int allocations() {
#ifdef CARDIACSEG_SIMULATED_GPU
  return simulated_allocations;
#else
  return 0;
#endif
}

/// One with every stage, classifier, locator, clean-up, temperature and rule for the quality.
const std::string kWhole = "whole";
const std::vector<std::string> kBundles{kWhole, "seg", "seg_presence", "ref", "ref_presence"};

/// Its networks are those of fake_network.h.
inline Bundle bundle_of(const std::string& name) {
  const bool whole = name == kWhole;
  const auto network = [](bool presence) { return std::vector<std::byte>{std::byte{presence}}; };
  Bundle bundle{.manifest = {.name = name,
                             .version = "1",
                             .spacing_mm = 1.5,
                             .crop_pixels = 32,
                             .percentiles = {whole ? 1.0 : 0.0, whole ? 99.0 : 100.0},
                             .presence_threshold = 0.5F,
                             .temperature = whole ? 1.5F : 1.0F,
                             .clean_up = whole,
                             .locate = std::nullopt,
                             .quality = std::nullopt,
                             .keeps_labels_in_bfloat16 = false},
                .digest = {},
                .locate = std::nullopt,
                .seg = network(whole || name == "seg_presence"),
                .ref = std::nullopt};
  if (whole || name == "ref" || name == "ref_presence") bundle.ref = network(name != "ref");
  if (!whole) return bundle;
  bundle.manifest.locate = LocateRules{.spacing_mm = 3.0, .size_multiple = 8, .threshold = 0.5F};
  bundle.manifest.quality = QualityRule{.intercept = 0.1, .slope = 0.8};
  bundle.locate = network(false);
  return bundle;
}

inline std::unique_ptr<Pipeline> host_pipeline(const std::string& name, int threads = 1) {
  const auto no_bfloat16 = [](Precision) -> std::unique_ptr<Backend> {
    throw Error(ErrorCode::backend, "no bf16 in this test");
  };
  return make_pipeline(bundle_of(name), std::make_unique<test::FakeHostBackend>(),
                       {no_bfloat16, [name] { return bundle_of(name); }}, threads);
}

inline std::unique_ptr<Pipeline> device_pipeline(const std::string& name, FakeOptions& fake) {
  return make_pipeline(
      bundle_of(name), std::make_unique<test::FakeDeviceBackend>(fake),
      {[](Precision) { return std::make_unique<test::FakeHostBackend>(); }, [name] { return bundle_of(name); }}, 1);
}

/// Blobs, different in each frame.
template <class Pixel>
std::vector<Pixel> blobs(const CineShape& shape) {
  std::vector<Pixel> pixels;
  for (std::int64_t frame = 0; frame < shape.frames; ++frame) {
    for (std::int64_t slice = 0; slice < shape.slices; ++slice) {
      for (std::int64_t row = 0; row < shape.rows; ++row) {
        for (std::int64_t column = 0; column < shape.columns; ++column) {
          const double wave = std::sin(0.21 * static_cast<double>(row + 3 * slice) + static_cast<double>(frame)) *
                              std::cos(0.17 * static_cast<double>(column - 2 * slice));
          pixels.push_back(static_cast<Pixel>(60 + 55 * wave));
        }
      }
    }
  }
  return pixels;
}

template <class Element>
bool same_bits(const std::vector<Element>& a, const std::vector<Element>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(Element)) == 0;
}

inline void check_same(const Segmentation& found, const Segmentation& wanted) {
  CHECK(found.shape == wanted.shape);
  CHECK(same_bits(found.labels, wanted.labels));
  CHECK(same_bits(found.presence, wanted.presence));
  CHECK(same_bits(found.probabilities, wanted.probabilities));
  CHECK(same_bits(found.agreement, wanted.agreement));
  CHECK(same_bits(found.quality, wanted.quality));
}

/// Runs `cine` on the host and twice on the GPU: plainly, and as a graph.
inline void check_equal(const std::string& bundle, const CineView& cine, const RunOptions& options = {}) {
  FakeOptions fake;
  const auto pipeline = device_pipeline(bundle, fake);
  const Segmentation wanted = host_pipeline(bundle)->run(cine, options);
  const Segmentation enqueued = pipeline->run(cine, options);
  check_same(enqueued, wanted);
  CHECK(enqueued.report.graph.starts_with("no: the first run"));
  const Segmentation replayed = pipeline->run(cine, options);
  check_same(replayed, wanted);
  CHECK(replayed.report.graph == "yes");
}

inline std::vector<std::string> stage_names(const Segmentation& result) {
  std::vector<std::string> names;
  for (const StageTime& stage : result.report.stages) names.push_back(stage.stage);
  return names;
}

inline RunOptions probabilities() {
  RunOptions options;
  options.probabilities = true;
  return options;
}

inline RunOptions device_labels() {
  RunOptions options;
  options.device_labels = true;
  return options;
}

inline RunOptions on(cudaStream_t stream) {
  RunOptions options;
  options.stream = stream;
  return options;
}

const CineShape kShape{2, 2, 45, 38};

struct Image {
  std::vector<float> pixels;
  CineView cine;

  explicit Image(const CineShape& shape = kShape)
      : pixels(blobs<float>(shape)), cine(CineView::contiguous(pixels.data(), PixelType::float32, shape, kSpacing)) {}
  Image(const Image&) = delete;
};

/// An image in device memory.
struct DeviceImage {
  cuda::DeviceBuffer pixels;
  CineView cine;

  explicit DeviceImage(const CineView& image)
      : pixels(static_cast<std::size_t>(image.shape.voxels()) * size_of(image.type)), cine(image) {
    cuda::check(cudaMemcpy(pixels.data(), image.data, pixels.bytes(), cudaMemcpyHostToDevice), "cudaMemcpy");
    cine.data = pixels.data();
    cine.memory = Memory::device;
  }
};

inline std::vector<std::uint8_t> host_labels(const Segmentation& result) {
  std::vector<std::uint8_t> labels(static_cast<std::size_t>(result.shape.voxels()));
  cuda::check(cudaMemcpy(labels.data(), result.device_labels.get(), labels.size(), cudaMemcpyDeviceToHost),
              "cudaMemcpy");
  return labels;
}

}  // namespace cardiacseg::test
