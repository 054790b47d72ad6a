// The owners of CUDA's objects, on the simulated GPU.

#include <utility>
#include <vector>

#include "check.h"
#include "cuda/buffer.h"
#include "cuda/copy.h"
#include "cuda/device.h"
#include "cuda/event.h"
#include "cuda/graph.h"
#include "cuda/stream.h"

using namespace cardiacseg;

TEST(a_buffer_is_moved_with_its_memory) {
  cuda::DeviceBuffer first(100);
  void* memory = first.data();
  CHECK(memory != nullptr && first.bytes() == 100);
  cuda::DeviceBuffer second(std::move(first));
  CHECK(second.data() == memory && second.bytes() == 100);
  first = std::move(second);
  CHECK(first.data() == memory && second.data() == nullptr && second.bytes() == 0);
  cuda::PinnedBuffer pinned(8);
  cuda::PinnedBuffer other;
  other = std::move(pinned);
  CHECK(other.as<double>() != nullptr && pinned.data() == nullptr);
}

TEST(no_bytes_are_no_memory) {
  const int before = simulated_allocations;
  CHECK(cuda::DeviceBuffer(0).data() == nullptr);
  CHECK(cuda::PinnedBuffer(0).data() == nullptr);
  CHECK(simulated_allocations == before);
}

// To choose a GPU is to make a context on it.
TEST(a_scope_chooses_a_gpu_only_where_it_is_another) {
  simulated_device_count = 2;
  const int before = simulated_device_choices;
  {
    const cuda::DeviceScope same(0);
    CHECK(simulated_device_choices == before);
    const cuda::DeviceScope other(1);
    CHECK(cuda::current_device().index == 1 && simulated_device_choices == before + 1);
    CHECK_THROWS(cuda::DeviceScope(2), cuda::CudaError, "cudaSetDevice");
    CHECK(cuda::current_device().index == 1);
  }
  CHECK(cuda::current_device().index == 0);
  simulated_device_count = 1;
}

TEST(a_graph_does_again_what_was_captured) {
  const cuda::Stream stream;
  const cuda::DeviceBuffer counter(sizeof(int));
  int on_host = 5;
  const cuda::Graph graph =
      cuda::Graph::capture(stream.get(), [&] { cuda::upload(counter.data(), &on_host, sizeof on_host, stream.get()); });
  CHECK(*counter.as<int>() != 5);  // nothing ran yet
  graph.launch(stream.get());
  CHECK(*counter.as<int>() == 5);
  on_host = 6;
  graph.launch(stream.get());
  CHECK(*counter.as<int>() == 6);
}

TEST(events_in_a_graph_are_set_by_each_launch) {
  const cuda::Stream stream;
  const cuda::Event start;
  const cuda::Event end;
  start.record(stream.get());
  end.record(stream.get());
  CHECK(end.since(start) >= 0);
  const cuda::Event inside;
  const cuda::Graph graph = cuda::Graph::capture(stream.get(), [&] { inside.record(stream.get()); });
  CHECK_THROWS(inside.since(start), cuda::CudaError, "cudaEventElapsedTime");
  graph.launch(stream.get());
  const float first = inside.since(start);
  graph.launch(stream.get());
  CHECK(inside.since(start) > first);
}

TEST(a_capture_that_fails_leaves_the_stream_fit_for_use) {
  const cuda::Stream stream;
  const cuda::DeviceBuffer memory(4);
  const auto allocate = [&] { cuda::DeviceBuffer(16); };
  CHECK_THROWS(cuda::Graph::capture(stream.get(), allocate), cuda::CudaError, "not permitted");
  const auto swallow = [&] {
    try {
      allocate();
    } catch (const cuda::CudaError&) {
    }
  };
  CHECK_THROWS(cuda::Graph::capture(stream.get(), swallow), cuda::CudaError, "cudaStreamEndCapture");
  CHECK_THROWS(cuda::Graph::capture(stream.get(), [] { throw std::runtime_error("mine"); }), std::runtime_error,
               "mine");
  cuda::fill(memory.data(), 3, 4, stream.get());
  stream.synchronize();
  CHECK(*memory.as<int>() == 0x03030303);
}

TEST(a_machine_without_a_gpu_says_so) {
  CHECK(cuda::device_count() == 1 && cuda::why_no_device().empty());
  CHECK(cuda::current_device().name == "Simulated GPU");
  simulated_device_count = 0;
  CHECK(cuda::device_count() == 0);
  CHECK(cuda::why_no_device() == "no GPU answers (CUDA says: no CUDA-capable device is detected)");
  simulated_device_count = 1;
}
