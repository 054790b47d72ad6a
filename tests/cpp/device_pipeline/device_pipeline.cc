// The pipeline on a GPU against that on the host, with the same pointwise networks: everything must be equal. Built for
// the simulated GPU and, with CUDA, for a real one.

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

using namespace cardiacseg;
using test::FakeOptions;

namespace {

constexpr Spacing kSpacing{8.0, 1.4, 1.3};

/// Ends the program as skipped if no GPU answers.
bool require_device() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaSuccess && count > 0) return true;
  std::cout << "skipped: no GPU answers (" << cudaGetErrorString(status) << ")\n";
  std::exit(77);
}
const bool kHasDevice = require_device();

/// Calls so far that took memory; on a real GPU nobody counts them.
int allocations() {
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
Bundle bundle_of(const std::string& name) {
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

std::unique_ptr<Pipeline> host_pipeline(const std::string& name) {
  const auto no_bfloat16 = [](Precision) -> std::unique_ptr<Backend> {
    throw Error(ErrorCode::backend, "no bf16 in this test");
  };
  return make_pipeline(bundle_of(name), std::make_unique<test::FakeHostBackend>(),
                       {no_bfloat16, [name] { return bundle_of(name); }}, 1);
}

std::unique_ptr<Pipeline> device_pipeline(const std::string& name, FakeOptions& fake) {
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

void check_same(const Segmentation& found, const Segmentation& wanted) {
  CHECK(found.shape == wanted.shape);
  CHECK(same_bits(found.labels, wanted.labels));
  CHECK(same_bits(found.presence, wanted.presence));
  CHECK(same_bits(found.probabilities, wanted.probabilities));
  CHECK(same_bits(found.agreement, wanted.agreement));
  CHECK(same_bits(found.quality, wanted.quality));
}

/// Runs `cine` on the host and twice on the GPU: plainly, and as a graph.
void check_equal(const std::string& bundle, const CineView& cine, const RunOptions& options = {}) {
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

std::vector<std::string> stage_names(const Segmentation& result) {
  std::vector<std::string> names;
  for (const StageTime& stage : result.report.stages) names.push_back(stage.stage);
  return names;
}

RunOptions probabilities() {
  RunOptions options;
  options.probabilities = true;
  return options;
}

RunOptions device_labels() {
  RunOptions options;
  options.device_labels = true;
  return options;
}

RunOptions on(cudaStream_t stream) {
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

std::vector<std::uint8_t> host_labels(const Segmentation& result) {
  std::vector<std::uint8_t> labels(static_cast<std::size_t>(result.shape.voxels()));
  cuda::check(cudaMemcpy(labels.data(), result.device_labels.get(), labels.size(), cudaMemcpyDeviceToHost),
              "cudaMemcpy");
  return labels;
}

}  // namespace

TEST(every_kind_of_model_gives_the_hosts_results) {
  const Image image;
  for (const std::string& bundle : kBundles) check_equal(bundle, image.cine, probabilities());
}

TEST(the_pictures_show_every_label_and_shut_gates) {
  const Image image;
  const auto count = [&](const std::string& bundle, int label) {
    const Segmentation result = host_pipeline(bundle)->run(image.cine, {});
    return std::count(result.labels.begin(), result.labels.end(), label);
  };
  for (const int label : {0, 1, 2, 3}) CHECK(count("ref", label) > 100);
  for (const int label : {0, 1, 3}) CHECK(count(kWhole, label) > 100);
  CHECK(count(kWhole, 2) == 0);
  const Segmentation result = host_pipeline(kWhole)->run(image.cine, {});
  CHECK(result.presence[1] < 0.5F && result.quality[0] > 0 && result.agreement[0] < 1);
}

TEST(odd_shapes) {
  for (const CineShape& shape : {CineShape{1, 1, 33, 64}, CineShape{1, 5, 17, 29}, CineShape{1, 2, 96, 20}}) {
    const Image image(shape);
    check_equal(kWhole, image.cine);
  }
}

TEST(every_pixel_type) {
  for (const PixelType type : {PixelType::uint8, PixelType::int8, PixelType::uint16, PixelType::int16,
                               PixelType::uint32, PixelType::int32, PixelType::float64}) {
    ops::visit_pixel_type(type, [&](auto pixel) {
      const auto pixels = blobs<decltype(pixel)>({1, 2, 30, 34});
      check_equal("ref_presence", CineView::contiguous(pixels.data(), type, {1, 2, 30, 34}, kSpacing));
    });
  }
}

TEST(every_order_of_the_axes) {
  Image image({2, 2, 40, 40});
  const auto [frame, slice, row, column] = image.cine.strides;
  image.cine.strides = {frame, slice, column, row};
  check_equal("ref_presence", image.cine);
  image.cine.strides = {slice, frame, -row, column};
  image.cine.data = image.pixels.data() + 39 * 40;
  check_equal("ref_presence", image.cine);
  image.cine.shape.columns = 20;
  image.cine.strides = {frame, slice, row, 2 * column};
  image.cine.data = image.pixels.data();
  check_equal("ref_presence", image.cine);
}

TEST(a_last_group_may_be_smaller) {
  const Image image({7, 1, 30, 32});  // 3 + 3 + 1
  check_equal(kWhole, image.cine, probabilities());
}

/// One frame flickers; frames go through the networks in groups of three, or all at once.
TEST(presence_over_the_beat) {
  Image image({8, 2, 30, 32});
  const std::size_t frame = 2 * 30 * 32;
  for (std::size_t index = 0; index < image.pixels.size(); ++index) image.pixels[index] = image.pixels[index % frame];
  for (std::size_t index = 4 * frame; index < 5 * frame; ++index) image.pixels[index] = std::sqrt(image.pixels[index]);
  for (const std::string& bundle : {kWhole, std::string("ref_presence"), std::string("seg_presence")}) {
    const Segmentation wanted = host_pipeline(bundle)->run(image.cine, probabilities());
    CHECK(wanted.report.temporal && wanted.report.presence_changes > 0);
    for (const std::int64_t most : {3, 8}) {
      FakeOptions fake;
      fake.max_frames = most;
      const auto pipeline = device_pipeline(bundle, fake);
      for (int run = 0; run < 3; ++run) {
        const Segmentation found = pipeline->run(image.cine, probabilities());
        check_same(found, wanted);
        CHECK(found.report.presence_changes == wanted.report.presence_changes);
        const Segmentation kept = pipeline->run(image.cine, device_labels());
        CHECK(same_bits(host_labels(kept), wanted.labels));
      }
      const int before = allocations();
      const int enqueued = fake.enqueued;
      pipeline->run(image.cine, {});
      CHECK(allocations() == before);
      CHECK(fake.enqueued == enqueued);
      RunOptions off;
      off.temporal = "off";
      const Segmentation own = pipeline->run(image.cine, off);
      check_same(own, host_pipeline(bundle)->run(image.cine, off));
      CHECK(!own.report.temporal && !same_bits(own.labels, wanted.labels));
    }
  }
  RunOptions other;
  other.temporal = "on";
  FakeOptions fake;
  CHECK_THROWS_CODE(device_pipeline(kWhole, fake)->run(image.cine, other), ErrorCode::invalid_input, "got \"on\"");
}

TEST(progress_counts_groups_and_can_stop_the_run) {
  const Image image({7, 1, 30, 32});
  FakeOptions fake;
  const auto pipeline = device_pipeline("seg", fake);
  std::vector<std::int64_t> done;
  RunOptions options;
  options.progress = [&](std::int64_t count, std::int64_t total) {
    done.push_back(count);
    return total == 7 && (done.size() < 6 || count < 3);
  };
  pipeline->run(image.cine, options);
  CHECK((done == std::vector<std::int64_t>{0, 3, 5, 7}));
  CHECK_THROWS_CODE(pipeline->run(image.cine, options), ErrorCode::cancelled, "after 3 of 7");
  const int before = allocations();
  pipeline->run(image.cine, {});  // with what there was
  CHECK(allocations() == before);
}

TEST(stages_are_timed) {
  const Image image;
  FakeOptions fake;
  const auto pipeline = device_pipeline(kWhole, fake);
  const std::vector<std::string> wanted{"check", "upload", "preprocess", "locate",    "seg",
                                        "ref",   "fusion", "clean_up",   "agreement", "download"};
  for (int run = 0; run < 3; ++run) {
    const Segmentation result = pipeline->run(image.cine, {});
    CHECK(stage_names(result) == wanted);
    for (const StageTime& stage : result.report.stages) CHECK(stage.milliseconds >= 0 && stage.milliseconds < 60000);
  }
}

TEST(the_second_run_is_graphs_alone_and_nothing_is_allocated_after_the_first) {
  const Image image;
  FakeOptions fake;
  const auto pipeline = device_pipeline(kWhole, fake);
  const Segmentation wanted = pipeline->run(image.cine, {});
  const int before = allocations();
  const int enqueued = fake.enqueued;
#ifdef CARDIACSEG_SIMULATED_GPU
  const int graphs = simulated_graph_launches;
  const int kernels = simulated_kernel_launches;
#endif
  for (int run = 0; run < 20; ++run) {
    const Segmentation found = pipeline->run(image.cine, {});
    check_same(found, wanted);
    CHECK(found.report.graph == "yes");
  }
  CHECK(allocations() == before);
  CHECK(fake.enqueued == enqueued);
#ifdef CARDIACSEG_SIMULATED_GPU
  CHECK(simulated_graph_launches == graphs + 40);
  CHECK(simulated_kernel_launches == kernels);
#endif
}

TEST(a_graph_reads_each_image_anew) {
  Image image;
  FakeOptions fake;
  const auto pipeline = device_pipeline(kWhole, fake);
  const auto host = host_pipeline(kWhole);
  for (int run = 0; run < 3; ++run) {
    std::rotate(image.pixels.begin(), image.pixels.begin() + 100, image.pixels.end());
    check_same(pipeline->run(image.cine, {}), host->run(image.cine, {}));
  }
}

TEST(where_no_capture_is_possible_the_run_is_enqueued_and_says_why) {
  const Image image;
  const Segmentation wanted = host_pipeline(kWhole)->run(image.cine, {});
  FakeOptions fake;
  fake.capturable = false;
  const auto pipeline = device_pipeline(kWhole, fake);
  const auto run = [&] {
    const int before = fake.enqueued;
    const Segmentation found = pipeline->run(image.cine, {});
    check_same(found, wanted);
    CHECK((fake.enqueued == before) == (found.report.graph == "yes"));
    return found.report.graph;
  };
  for (int count = 0; count < 3; ++count)
    CHECK(run() == "no: the inference library does not let network ref be recorded");
  fake.capturable = true;  // tried again after 1, 2, 4 ... runs
  CHECK(run().starts_with("no: the first run"));
  CHECK(run() == "yes");
}

#ifdef CARDIACSEG_SIMULATED_GPU
TEST(a_capture_that_fails_is_reported_and_tried_again) {
  const Image image;
  FakeOptions fake;
  const auto pipeline = device_pipeline(kWhole, fake);
  const Segmentation wanted = host_pipeline(kWhole)->run(image.cine, {});
  simulated_captures_fail = true;
  const Segmentation first = pipeline->run(image.cine, {});
  simulated_captures_fail = false;
  CHECK(first.report.graph == "no: cudaStreamEndCapture: operation failed due to a previous error during capture");
  check_same(first, wanted);
  check_same(pipeline->run(image.cine, {}), wanted);
  const Segmentation third = pipeline->run(image.cine, {});
  check_same(third, wanted);
  CHECK(third.report.graph == "yes");
}

TEST(where_memory_is_short_idle_plans_go) {
  const Image small({1, 1, 30, 30});
  const Image large({1, 2, 60, 60});
  FakeOptions fake;
  const auto pipeline = device_pipeline("seg", fake);
  const Segmentation wanted = pipeline->run(large.cine, {});
  pipeline->trim();
  const std::size_t empty = simulated_bytes;
  pipeline->run(large.cine, {});
  const std::size_t full = simulated_bytes;
  CHECK(full > empty);
  pipeline->trim();
  CHECK(simulated_bytes == empty);
  pipeline->run(small.cine, {});
  simulated_bytes_limit = full + (simulated_bytes - empty) / 2;  // for one or the other
  check_same(pipeline->run(large.cine, {}), wanted);
  simulated_bytes_limit = empty + (full - empty) / 2;
  pipeline->trim();
  CHECK_THROWS_CODE(pipeline->run(large.cine, {}), ErrorCode::backend, "too little free memory");
  CHECK(simulated_bytes == empty);
  simulated_bytes_limit = std::numeric_limits<std::size_t>::max();
  check_same(pipeline->run(large.cine, {}), wanted);
}

TEST(without_memory_pools_it_runs_all_the_same) {
  const Image image;
  simulated_memory_pools = 0;
  check_equal(kWhole, image.cine);
  simulated_memory_pools = 1;
}
#else
TEST(a_gpu_that_is_full_is_reported_and_used_again) {
  const Image image;
  const Image large({3, 16, 1024, 1024});
  FakeOptions fake;
  const auto pipeline = device_pipeline(kWhole, fake);
  const Segmentation wanted = pipeline->run(image.cine, {});
  {
    std::size_t free = 0;
    std::size_t total = 0;
    cuda::check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
    const cuda::DeviceBuffer hog(free - (std::size_t{128} << 20));
    CHECK_THROWS_CODE(pipeline->run(large.cine, probabilities()), ErrorCode::backend, "too little free memory");
  }
  check_same(pipeline->run(image.cine, {}), wanted);
}
#endif

TEST(plans_come_and_go) {
  FakeOptions fake;
  const auto pipeline = device_pipeline("seg_presence", fake);
  const auto host = host_pipeline("seg_presence");
  for (const std::int64_t rows : {30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 30, 40}) {
    const Image image({1, 1, rows, 30});
    check_same(pipeline->run(image.cine, {}), host->run(image.cine, {}));
  }
  const Image last({1, 1, 40, 30});
  const Image gone({1, 1, 32, 30});
  const int before = fake.enqueued;
  CHECK(pipeline->run(last.cine, {}).report.graph == "yes");
  CHECK(fake.enqueued == before);
  CHECK(pipeline->run(gone.cine, {}).report.graph != "yes");
  CHECK(fake.enqueued > before);
}

TEST(a_cine_of_25_frames) {
  const Image image({25, 2, 30, 32});
  FakeOptions fake;
  fake.max_frames = 8;
  const auto pipeline = device_pipeline(kWhole, fake);
  const Segmentation wanted = host_pipeline(kWhole)->run(image.cine, {});
  for (int run = 0; run < 2; ++run) check_same(pipeline->run(image.cine, {}), wanted);  // 7 + 6 + 6 + 6
}

TEST(warm_up_leaves_nothing_to_the_first_run) {
  const Image image({7, 1, 30, 32});  // 3 + 2 + 2
  FakeOptions fake;
  const auto pipeline = device_pipeline(kWhole, fake);
  pipeline->warm_up({image.cine.shape, image.cine.spacing, image.cine.type}, {});
  const int before = fake.enqueued;
  const int taken = allocations();
  CHECK(pipeline->run(image.cine, {}).report.graph == "yes");
  CHECK(fake.enqueued == before && allocations() == taken);
}

TEST(a_network_that_fails_spoils_its_own_run_alone) {
  const Image image;
  FakeOptions fake;
  const auto pipeline = device_pipeline(kWhole, fake);
  const Segmentation wanted = host_pipeline(kWhole)->run(image.cine, {});
  fake.ref_fails = true;
  CHECK_THROWS_CODE(pipeline->run(image.cine, {}), ErrorCode::backend, "the fake Ref failed");
  fake.ref_fails = false;
  for (int run = 0; run < 2; ++run) check_same(pipeline->run(image.cine, {}), wanted);
}

TEST(an_image_in_device_memory) {
  Image image({4, 2, 30, 32});
  const Segmentation wanted = host_pipeline(kWhole)->run(image.cine, {});
  DeviceImage on_device(image.cine);
  FakeOptions fake;
  const auto pipeline = device_pipeline(kWhole, fake);
  for (int run = 0; run < 2; ++run) check_same(pipeline->run(on_device.cine, {}), wanted);
  CHECK_THROWS_CODE(host_pipeline(kWhole)->run(on_device.cine, {}), ErrorCode::invalid_input, "runs on the CPU");
  on_device.cine.strides[2] *= 2;
  CHECK_THROWS_CODE(pipeline->run(on_device.cine, {}), ErrorCode::invalid_input, "must be contiguous");
}

/// The image becomes ready on the caller's stream, late.
TEST(an_image_on_a_callers_stream) {
  const Image image({4, 2, 30, 32});
  const Segmentation wanted = host_pipeline(kWhole)->run(image.cine, {});
  const cuda::PinnedBuffer pinned(image.pixels.size() * sizeof(float));
  std::memcpy(pinned.data(), image.pixels.data(), pinned.bytes());
  FakeOptions fake;
  fake.verified = false;
  const cuda::Stream stream;
  const auto make_ready = [&](const DeviceImage& late) {
    cuda::fill(late.pixels.data(), 0, late.pixels.bytes(), stream.get());
    const auto wait = [](void*) { std::this_thread::sleep_for(std::chrono::milliseconds(50)); };
    cuda::check(cudaLaunchHostFunc(stream.get(), wait, nullptr), "cudaLaunchHostFunc");
    cuda::upload(late.pixels.data(), pinned.data(), pinned.bytes(), stream.get());
  };
  const DeviceImage late(image.cine);
  const auto pipeline = device_pipeline(kWhole, fake);
  make_ready(late);
  CHECK(pipeline->verify(late.cine, stream.get()).passed);
  for (int run = 0; run < 2; ++run) {
    make_ready(late);
    check_same(pipeline->run(late.cine, on(stream.get())), wanted);
  }
}

TEST(labels_that_stay_in_device_memory) {
  const Image image({4, 2, 30, 32});
  const Segmentation wanted = host_pipeline(kWhole)->run(image.cine, {});
  FakeOptions fake;
  const auto pipeline = device_pipeline(kWhole, fake);
  std::shared_ptr<std::uint8_t> kept;
  for (int run = 0; run < 2; ++run) {
    const Segmentation result = pipeline->run(image.cine, device_labels());
    CHECK(result.labels.empty() && result.device_labels != kept);
    kept = result.device_labels;
    CHECK(same_bits(host_labels(result), wanted.labels));
    CHECK(same_bits(result.presence, wanted.presence));
  }
  CHECK_THROWS_CODE(host_pipeline(kWhole)->run(image.cine, device_labels()), ErrorCode::invalid_input,
                    "runs on the CPU");
}

/// On a machine with one GPU there is nothing to test.
TEST(an_image_and_labels_on_the_second_gpu) {
#ifdef CARDIACSEG_SIMULATED_GPU
  simulated_device_count = 2;
#endif
  if (cuda::device_count() > 1) {
    const Image image({4, 2, 30, 32});
    const Segmentation wanted = host_pipeline(kWhole)->run(image.cine, {});
    FakeOptions fake;
    const auto on_first = device_pipeline(kWhole, fake);
    std::optional<DeviceImage> second;
    std::unique_ptr<Pipeline> on_second;
    {
      const cuda::DeviceScope scope(1);
      second.emplace(image.cine);
      on_second = device_pipeline(kWhole, fake);
    }
    const DeviceImage first(image.cine);
    constexpr const char* kOnSecond = "the image lies on GPU 1, expected GPU 0";
    CHECK_THROWS_CODE(on_first->run(second->cine, {}), ErrorCode::invalid_input, kOnSecond);
    CHECK_THROWS_CODE(on_first->verify(second->cine), ErrorCode::invalid_input, kOnSecond);
    CHECK_THROWS_CODE(on_second->run(first.cine, {}), ErrorCode::invalid_input,
                      "the image lies on GPU 0, expected GPU 1");
    check_same(on_second->run(second->cine, {}), wanted);
    for (const auto& [pipeline, device] : {std::pair(on_first.get(), 0), std::pair(on_second.get(), 1)}) {
      const Segmentation result = pipeline->run(image.cine, device_labels());
      CHECK(result.device_index == device && cuda::device_of(result.device_labels.get()) == device);
      CHECK(same_bits(host_labels(result), wanted.labels));
    }
    CHECK(cuda::current_device().index == 0);
  }
#ifdef CARDIACSEG_SIMULATED_GPU
  simulated_device_count = 1;
#endif
}

TEST(two_threads_at_once) {
  const Image first({2, 1, 40, 33});
  const Image second({3, 2, 31, 35});
  const auto host = host_pipeline(kWhole);
  FakeOptions fake;
  const auto pipeline = device_pipeline(kWhole, fake);
  std::array<std::vector<Segmentation>, 2> found;
  const auto run = [&](std::size_t which, const CineView& cine) {
    for (int time = 0; time < 4; ++time) found[which].push_back(pipeline->run(cine, {}));
  };
  std::thread other([&] { run(1, second.cine); });
  run(0, first.cine);
  other.join();
  for (const Segmentation& result : found[0]) check_same(result, host->run(first.cine, {}));
  for (const Segmentation& result : found[1]) check_same(result, host->run(second.cine, {}));
}

TEST(bad_pixels_get_the_hosts_sentence) {
  const auto sentence = [](const Pipeline& pipeline, const CineView& cine) -> std::string {
    try {
      pipeline.run(cine, {});
    } catch (const Error& error) {
      return error.code() == ErrorCode::invalid_input ? error.what() : "another code";
    }
    return "nothing";
  };
  FakeOptions fake;
  const auto pipeline = device_pipeline(kWhole, fake);
  const auto host = host_pipeline(kWhole);
  const auto placed = [](const Image& image, Memory memory) {
    struct Placed {
      std::optional<DeviceImage> owner;
      CineView cine;
    };
    Placed made{.owner = std::nullopt, .cine = image.cine};
    if (memory == Memory::device) made.cine = made.owner.emplace(image.cine).cine;
    return made;
  };
  Image image({5, 2, 30, 32});
  const std::size_t frame = 2 * 30 * 32;
  for (const Memory memory : {Memory::host, Memory::device}) {
    Image bad({5, 2, 30, 32});
    bad.pixels[4 * frame + 1000] = std::numeric_limits<float>::quiet_NaN();
    const std::string wanted = sentence(*host, bad.cine);
    CHECK(wanted.find("got nan at frame 4, slice 1, row 1, column 8") != std::string::npos);
    const int enqueued = fake.enqueued;
    CHECK(sentence(*pipeline, placed(bad, memory).cine) == wanted);
    Image flat({5, 2, 30, 32});
    std::fill_n(flat.pixels.begin() + static_cast<std::ptrdiff_t>(frame), frame, 7.0F);
    const std::string of_flat = sentence(*host, flat.cine);
    CHECK(of_flat.find("all pixels of frame 1") != std::string::npos);
    CHECK(sentence(*pipeline, placed(flat, memory).cine) == of_flat);
    CHECK(fake.enqueued == enqueued);  // found before any network ran
  }
  image.cine.spacing.row = 0;
  CHECK(sentence(*pipeline, image.cine) == sentence(*host, image.cine));
  image.cine.spacing = kSpacing;
  check_same(pipeline->run(image.cine, {}), host->run(image.cine, {}));
}

TEST(the_first_run_verifies) {
  const Image image({3, 1, 30, 32});
  for (const std::string& bundle : kBundles) {
    FakeOptions fake;
    fake.verified = false;
    const auto pipeline = device_pipeline(bundle, fake);
    pipeline->warm_up({image.cine.shape, image.cine.spacing, image.cine.type}, {});
    CHECK(fake.marked == 0);
    check_same(pipeline->run(image.cine, {}), host_pipeline(bundle)->run(image.cine, {}));
    const int marked = fake.marked;
    CHECK(marked == 1 + (bundle_of(bundle).ref ? 1 : 0) + (bundle_of(bundle).locate ? 1 : 0));
    pipeline->run(image.cine, {});
    CHECK(fake.marked == marked);
  }
}

TEST(engines_that_fail_the_gate_do_not_run) {
  Image image({3, 1, 30, 32});
  FakeOptions fake;
  fake.verified = false;
  fake.added_to_logits = 0.01F;
  const auto pipeline = device_pipeline(kWhole, fake);
  CHECK_THROWS_CODE(pipeline->run(image.cine, {}), ErrorCode::backend, "cardiacseg build-engine");
  CHECK_THROWS_CODE(pipeline->run(image.cine, {}), ErrorCode::backend, "expected logits within 0.001");
  CHECK(fake.marked == 0);
  const Parity parity = pipeline->verify(image.cine);
  CHECK(!parity.passed && parity.stages.size() == 3 && parity.stages[0].passed && !parity.stages[1].passed);
  CHECK_NEAR(parity.stages[1].largest_difference, 0.01, 1e-5);
  fake.precision = Precision::float16;  // labels alone count
  CHECK(pipeline->verify(DeviceImage(image.cine).cine).passed);
  CHECK(fake.marked == 3);
  fake.seg_writes_nothing = true;
  CHECK(pipeline->verify(image.cine).stages[1].unwritten > 0);
  CHECK_THROWS_CODE(host_pipeline(kWhole)->verify(image.cine), ErrorCode::backend, "no bf16 in this test");
}

TEST(the_gate_sees_the_labels_of_whole_runs) {
  const Image image({5, 2, 45, 38});
  FakeOptions fake;
  fake.verified = false;
  const auto pipeline = device_pipeline(kWhole, fake);
  const int before = fake.enqueued;
  const Parity parity = pipeline->verify(image.cine);
  CHECK(parity.passed && parity.stages.size() == 4 && parity.stages[3].stage == "pipeline");
  CHECK(parity.stages[3].differing == 0 && parity.stages[3].voxels == 2 * image.cine.shape.voxels());
  CHECK(fake.enqueued > before);
  CHECK(pipeline->run(image.cine, {}).report.graph == "yes");
  FakeOptions wrong;
  wrong.verified = false;
  wrong.background_in_pipeline = 100;
  const Parity refused = device_pipeline(kWhole, wrong)->verify(image.cine);
  CHECK(!refused.passed && refused.stages[2].passed && !refused.stages[3].passed && wrong.marked == 0);
  CHECK(refused.summary.find("pipeline (fp32): Dice 0, ") != std::string::npos);
}

TEST(a_shape_that_the_engine_does_not_take_leaves_the_rest_alone) {
  const Image image;
  FakeOptions fake;
  const auto pipeline = device_pipeline("seg", fake);
  const Segmentation wanted = pipeline->run(image.cine, {});
  fake.max_frames = 1;  // the pipeline asked before
  const Image one({1, 2, 45, 38});
  pipeline->run(one.cine, {});
  fake.max_frames = 3;
  check_same(pipeline->run(image.cine, {}), wanted);
}
