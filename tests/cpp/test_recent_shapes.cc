#include <memory>

#include "backends/openvino/recent_shapes.h"
#include "check.h"

namespace cardiacseg {
namespace {

/// Counts those that live.
struct Compiled {
  Compiled() { ++alive; }
  ~Compiled() { --alive; }
  static inline int alive = 0;
};

using Shapes = RecentShapes<Compiled>;
constexpr const char* kSeg = "seg";
constexpr const char* kRef = "ref";

void use(Shapes& shapes, const void* network, std::int64_t slices, std::int64_t bytes) {
  shapes.make_room(*shapes.recall(network, {slices}), bytes);
}

bool has(Shapes& shapes, const void* network, std::int64_t slices) { return shapes.peek(network, {slices}) != nullptr; }

}  // namespace

TEST(a_shape_is_made_once) {
  Shapes shapes(100);
  CHECK(shapes.recall(kSeg, {1, 2}) == shapes.recall(kSeg, {1, 2}));
  CHECK(shapes.recall(kSeg, {1, 2}) != shapes.recall(kSeg, {1, 3}));
  CHECK(shapes.recall(kSeg, {1, 2}) != shapes.recall(kRef, {1, 2}));
  CHECK(shapes.peek(kRef, {5}) == nullptr);
  CHECK(Compiled::alive == 3);
}

TEST(networks_share_the_budget_and_what_was_used_longest_ago_goes) {
  Shapes shapes(100);
  use(shapes, kSeg, 1, 40);
  use(shapes, kRef, 1, 20);
  use(shapes, kSeg, 2, 40);
  CHECK(Compiled::alive == 3);
  use(shapes, kSeg, 1, 40);  // used again
  use(shapes, kRef, 2, 20);
  CHECK(has(shapes, kSeg, 1) && has(shapes, kRef, 2));
  CHECK(!has(shapes, kRef, 1));
  CHECK(has(shapes, kSeg, 2));
  use(shapes, kSeg, 3, 30);
  CHECK(has(shapes, kSeg, 3) && has(shapes, kSeg, 1) && !has(shapes, kSeg, 2));
  CHECK(Compiled::alive == 3);
}

TEST(one_run_has_its_shapes_whatever_they_take) {
  Shapes shapes(100);
  use(shapes, kSeg, 1, 10);
  for (std::int64_t slices = 2; slices < 30; ++slices) {
    use(shapes, kSeg, slices, 1000);
    use(shapes, kRef, slices, 500);
    CHECK(has(shapes, kSeg, slices) && has(shapes, kRef, slices));
    CHECK(Compiled::alive == 2);
  }
}

TEST(a_run_keeps_what_it_holds) {
  Shapes shapes(100);
  std::shared_ptr<Compiled> held = shapes.recall(kSeg, {1});
  shapes.make_room(*held, 60);
  use(shapes, kSeg, 2, 60);
  CHECK(!has(shapes, kSeg, 1) && Compiled::alive == 2);
  held.reset();
  CHECK(Compiled::alive == 1);
}

TEST(a_network_that_goes_takes_its_shapes_along) {
  Shapes shapes(100);
  use(shapes, kSeg, 1, 10);
  use(shapes, kRef, 1, 10);
  shapes.forget(kSeg);
  CHECK(!has(shapes, kSeg, 1) && has(shapes, kRef, 1));
  CHECK(Compiled::alive == 1);
}

}  // namespace cardiacseg
