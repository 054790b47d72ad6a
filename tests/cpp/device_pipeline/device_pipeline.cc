// The pipeline on the (simulated) GPU against that on the host, with the same networks: everything must be equal.

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <thread>

#include "check.h"
#include "openvino_device.h"
#include "ops/pixels.h"
#include "pipeline/pipeline.h"

using namespace cardiacseg;
using test::DeviceWishes;

namespace {

constexpr Spacing kSpacing{8.0, 1.4, 1.3};

std::filesystem::path bundles_folder() {
  const char* folder = std::getenv("CARDIACSEG_TEST_BUNDLES");
  if (folder == nullptr) throw std::runtime_error("CARDIACSEG_TEST_BUNDLES must say where the bundles are");
  return folder;
}

const Bundle& bundle_of(const std::string& name) {
  static std::map<std::string, Bundle> all;
  const auto known = all.find(name);
  return known != all.end() ? known->second : all.emplace(name, read_bundle(bundles_folder() / name)).first->second;
}

/// One with every stage, classifier, locator, clean-up, temperature and rule for the quality.
const std::string kWhole = "whole";
const std::vector<std::string> kBundles{kWhole, "seg", "seg_presence", "ref", "ref_presence"};

std::unique_ptr<Pipeline> host_pipeline(const std::string& name) {
  return make_pipeline(
      bundle_of(name), make_openvino_backend(1),
      {[](Precision) -> std::unique_ptr<Backend> { throw Error(ErrorCode::backend, "no bf16 in this test"); },
       [name] { return bundle_of(name); }},
      1);
}

std::unique_ptr<Pipeline> device_pipeline(const std::string& name, DeviceWishes& wishes) {
  return make_pipeline(
      bundle_of(name), std::make_unique<test::OpenVinoDevice>(wishes),
      {[](Precision precision) { return make_openvino_backend(1, precision); }, [name] { return bundle_of(name); }}, 1);
}

/// Blobs, another picture in each frame.
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
  DeviceWishes wishes;
  const auto pipeline = device_pipeline(bundle, wishes);
  const Segmentation wanted = host_pipeline(bundle)->run(cine, options);
  check_same(pipeline->run(cine, options), wanted);
  check_same(pipeline->run(cine, options), wanted);
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
      DeviceWishes wishes;
      wishes.max_frames = most;
      const auto pipeline = device_pipeline(bundle, wishes);
      for (int run = 0; run < 3; ++run) {
        const Segmentation found = pipeline->run(image.cine, probabilities());
        check_same(found, wanted);
        CHECK(found.report.presence_changes == wanted.report.presence_changes);
        const Segmentation kept = pipeline->run(image.cine, device_labels());
        CHECK(std::equal(wanted.labels.begin(), wanted.labels.end(), kept.device_labels.get()));
      }
      const int before = simulated_allocations;
      const int enqueued = wishes.enqueued;
      pipeline->run(image.cine, {});
      CHECK(simulated_allocations == before);
      CHECK(wishes.enqueued == enqueued);
      RunOptions off;
      off.temporal = "off";
      const Segmentation own = pipeline->run(image.cine, off);
      check_same(own, host_pipeline(bundle)->run(image.cine, off));
      CHECK(!own.report.temporal && !same_bits(own.labels, wanted.labels));
    }
  }
  RunOptions other;
  other.temporal = "on";
  DeviceWishes wishes;
  CHECK_THROWS_CODE(device_pipeline(kWhole, wishes)->run(image.cine, other), ErrorCode::invalid_input, "got \"on\"");
}

TEST(progress_counts_groups_and_can_stop_the_run) {
  const Image image({7, 1, 30, 32});
  DeviceWishes wishes;
  const auto pipeline = device_pipeline("seg", wishes);
  std::vector<std::int64_t> done;
  RunOptions options;
  options.progress = [&](std::int64_t count, std::int64_t total) {
    done.push_back(count);
    return total == 7 && (done.size() < 6 || count < 3);
  };
  pipeline->run(image.cine, options);
  CHECK((done == std::vector<std::int64_t>{0, 3, 5, 7}));
  CHECK_THROWS_CODE(pipeline->run(image.cine, options), ErrorCode::cancelled, "after 3 of 7");
  const int before = simulated_allocations;
  pipeline->run(image.cine, {});  // with what there was
  CHECK(simulated_allocations == before);
}

TEST(stages_are_timed) {
  const Image image;
  DeviceWishes wishes;
  const auto pipeline = device_pipeline(kWhole, wishes);
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
  DeviceWishes wishes;
  const auto pipeline = device_pipeline(kWhole, wishes);
  const Segmentation wanted = pipeline->run(image.cine, {});
  const int allocations = simulated_allocations;
  const int graphs = simulated_graph_launches;
  const int kernels = simulated_kernel_launches;
  const int enqueued = wishes.enqueued;
  for (int run = 0; run < 20; ++run) check_same(pipeline->run(image.cine, {}), wanted);
  CHECK(simulated_allocations == allocations);
  CHECK(simulated_graph_launches == graphs + 40);
  CHECK(simulated_kernel_launches == kernels);
  CHECK(wishes.enqueued == enqueued);
}

TEST(a_graph_reads_each_image_anew) {
  Image image;
  DeviceWishes wishes;
  const auto pipeline = device_pipeline(kWhole, wishes);
  const auto host = host_pipeline(kWhole);
  for (int run = 0; run < 3; ++run) {
    std::rotate(image.pixels.begin(), image.pixels.begin() + 100, image.pixels.end());
    check_same(pipeline->run(image.cine, {}), host->run(image.cine, {}));
  }
}

TEST(where_no_capture_is_possible_the_run_is_enqueued) {
  const Image image;
  const Segmentation wanted = host_pipeline(kWhole)->run(image.cine, {});
  for (const bool refused : {false, true}) {
    DeviceWishes wishes;
    wishes.capturable = refused;
    simulated_captures_fail = refused;
    const auto pipeline = device_pipeline(kWhole, wishes);
    const int graphs = simulated_graph_launches;
    for (int run = 0; run < 3; ++run) check_same(pipeline->run(image.cine, {}), wanted);
    CHECK(simulated_graph_launches == graphs);
    simulated_captures_fail = false;
  }
}

TEST(plans_come_and_go) {
  DeviceWishes wishes;
  const auto pipeline = device_pipeline("seg_presence", wishes);
  const auto host = host_pipeline("seg_presence");
  for (const std::int64_t rows : {30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 30, 40}) {
    const Image image({1, 1, rows, 30});
    check_same(pipeline->run(image.cine, {}), host->run(image.cine, {}));
  }
  const Image last({1, 1, 40, 30});
  const Image gone({1, 1, 32, 30});
  int before = simulated_allocations;
  pipeline->run(last.cine, {});
  CHECK(simulated_allocations == before);
  pipeline->run(gone.cine, {});
  CHECK(simulated_allocations > before);
}

TEST(an_image_in_device_memory) {
  Image image({4, 2, 30, 32});
  const Segmentation wanted = host_pipeline(kWhole)->run(image.cine, {});
  image.cine.memory = Memory::device;
  DeviceWishes wishes;
  const auto pipeline = device_pipeline(kWhole, wishes);
  cudaStream_t stream = nullptr;
  cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  check_same(pipeline->run(image.cine, on(stream)), wanted);
  check_same(pipeline->run(image.cine, {}), wanted);
  cudaStreamDestroy(stream);
  CHECK_THROWS_CODE(host_pipeline(kWhole)->run(image.cine, {}), ErrorCode::invalid_input, "runs on the CPU");
  image.cine.strides[2] *= 2;
  CHECK_THROWS_CODE(pipeline->run(image.cine, {}), ErrorCode::invalid_input, "must be contiguous");
}

TEST(labels_that_stay_in_device_memory) {
  const Image image({4, 2, 30, 32});
  const Segmentation wanted = host_pipeline(kWhole)->run(image.cine, {});
  DeviceWishes wishes;
  const auto pipeline = device_pipeline(kWhole, wishes);
  std::shared_ptr<std::uint8_t> kept;
  for (int run = 0; run < 2; ++run) {
    const Segmentation result = pipeline->run(image.cine, device_labels());
    CHECK(result.labels.empty() && result.device_labels != kept);
    kept = result.device_labels;
    CHECK(std::equal(wanted.labels.begin(), wanted.labels.end(), kept.get()));
    CHECK(same_bits(result.presence, wanted.presence));
  }
  CHECK_THROWS_CODE(host_pipeline(kWhole)->run(image.cine, device_labels()), ErrorCode::invalid_input,
                    "runs on the CPU");
}

TEST(two_threads_at_once) {
  const Image first({2, 1, 40, 33});
  const Image second({3, 2, 31, 35});
  const auto host = host_pipeline(kWhole);
  DeviceWishes wishes;
  const auto pipeline = device_pipeline(kWhole, wishes);
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
  DeviceWishes wishes;
  const auto pipeline = device_pipeline(kWhole, wishes);
  const auto host = host_pipeline(kWhole);
  Image image({5, 2, 30, 32});
  const std::size_t frame = 2 * 30 * 32;
  for (const Memory memory : {Memory::host, Memory::device}) {
    Image bad({5, 2, 30, 32});
    bad.pixels[4 * frame + 1000] = std::numeric_limits<float>::quiet_NaN();
    const std::string wanted = sentence(*host, bad.cine);
    CHECK(wanted.find("got nan at frame 4, slice 1, row 1, column 8") != std::string::npos);
    bad.cine.memory = memory;
    CHECK(sentence(*pipeline, bad.cine) == wanted);
    Image flat({5, 2, 30, 32});
    std::fill_n(flat.pixels.begin() + static_cast<std::ptrdiff_t>(frame), frame, 7.0F);
    const std::string of_flat = sentence(*host, flat.cine);
    CHECK(of_flat.find("all pixels of frame 1") != std::string::npos);
    flat.cine.memory = memory;
    CHECK(sentence(*pipeline, flat.cine) == of_flat);
  }
  image.cine.spacing.row = 0;
  CHECK(sentence(*pipeline, image.cine) == sentence(*host, image.cine));
  image.cine.spacing = kSpacing;
  check_same(pipeline->run(image.cine, {}), host->run(image.cine, {}));
}

TEST(the_first_run_verifies) {
  const Image image({3, 1, 30, 32});
  for (const std::string& bundle : kBundles) {
    DeviceWishes wishes;
    wishes.verified = false;
    const auto pipeline = device_pipeline(bundle, wishes);
    pipeline->warm_up({image.cine.shape, image.cine.spacing, image.cine.type}, {});
    CHECK(wishes.marked == 0);
    check_same(pipeline->run(image.cine, {}), host_pipeline(bundle)->run(image.cine, {}));
    const int marked = wishes.marked;
    CHECK(marked == 1 + (bundle_of(bundle).ref ? 1 : 0) + (bundle_of(bundle).locate ? 1 : 0));
    pipeline->run(image.cine, {});
    CHECK(wishes.marked == marked);
  }
}

TEST(engines_that_fail_the_gate_do_not_run) {
  Image image({3, 1, 30, 32});
  DeviceWishes wishes;
  wishes.verified = false;
  wishes.added_to_logits = 0.01F;
  const auto pipeline = device_pipeline(kWhole, wishes);
  CHECK_THROWS_CODE(pipeline->run(image.cine, {}), ErrorCode::backend, "build_engine.py");
  CHECK_THROWS_CODE(pipeline->run(image.cine, {}), ErrorCode::backend, "wanted logits within 0.001");
  CHECK(wishes.marked == 0);
  const Parity parity = pipeline->verify(image.cine);
  CHECK(!parity.passed && parity.stages.size() == 3 && parity.stages[0].passed && !parity.stages[1].passed);
  CHECK_NEAR(parity.stages[1].largest_difference, 0.01, 1e-5);
  wishes.precision = Precision::float16;  // labels alone count
  image.cine.memory = Memory::device;
  CHECK(pipeline->verify(image.cine).passed);
  CHECK(wishes.marked == 3);
  wishes.seg_writes_nothing = true;
  CHECK(pipeline->verify(image.cine).stages[1].unwritten > 0);
  image.cine.memory = Memory::host;
  CHECK_THROWS_CODE(host_pipeline(kWhole)->verify(image.cine), ErrorCode::backend, "no bf16 in this test");
}

TEST(a_shape_that_the_engine_does_not_take_leaves_the_rest_alone) {
  const Image image;
  DeviceWishes wishes;
  const auto pipeline = device_pipeline("seg", wishes);
  const Segmentation wanted = pipeline->run(image.cine, {});
  wishes.max_frames = 1;  // the pipeline asked before
  const Image one({1, 2, 45, 38});
  pipeline->run(one.cine, {});
  wishes.max_frames = 3;
  check_same(pipeline->run(image.cine, {}), wanted);
}
