// What callers share with the pipeline on a GPU: images and labels in device memory, streams, threads, cancellation.

#include "pipelines.h"

using namespace cardiacseg;
using namespace cardiacseg::test;

TEST(progress_counts_frames_and_can_stop_the_run) {
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

/// Each call works on two threads of its own; every other one is stopped on its way.
TEST(two_threads_at_once_on_the_host) {
  const Image image({6, 2, 40, 33});
  const auto pipeline = host_pipeline(kWhole, 2);
  const Segmentation wanted = host_pipeline(kWhole)->run(image.cine, {});
  RunOptions stopped;
  stopped.progress = [](std::int64_t done, std::int64_t) { return done < 2; };
  std::array<std::vector<Segmentation>, 2> found;
  std::array<int, 2> cancelled{};
  const auto run = [&](std::size_t which) {
    for (int time = 0; time < 3; ++time) {
      found[which].push_back(pipeline->run(image.cine, {}));
      try {
        pipeline->run(image.cine, stopped);
      } catch (const Error& error) {
        cancelled[which] += error.code() == ErrorCode::cancelled ? 1 : 0;
      }
    }
  };
  std::thread other([&] { run(1); });
  run(0);
  other.join();
  for (const auto& results : found) {
    for (const Segmentation& result : results) check_same(result, wanted);
  }
  CHECK(cancelled == (std::array<int, 2>{3, 3}));
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
