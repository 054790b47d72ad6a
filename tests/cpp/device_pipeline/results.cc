// What a run on a GPU gives against the host, bit for bit: models, shapes, pixel types, axes, frame batches; then the
// parity gate.

#include "pipelines.h"

using namespace cardiacseg;
using namespace cardiacseg::test;

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

TEST(a_last_frame_batch_may_be_smaller) {
  const Image image({7, 1, 30, 32});  // 3 + 3 + 1
  check_equal(kWhole, image.cine, probabilities());
}

TEST(a_cine_of_25_frames) {
  const Image image({25, 2, 30, 32});
  FakeOptions fake;
  fake.max_frames = 8;
  const auto pipeline = device_pipeline(kWhole, fake);
  const Segmentation wanted = host_pipeline(kWhole)->run(image.cine, {});
  for (int run = 0; run < 2; ++run) check_same(pipeline->run(image.cine, {}), wanted);  // 7 + 6 + 6 + 6
}

/// One frame flickers; frames go through the networks in groups of three, or all at once.
TEST(presence_over_all_frames) {
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
