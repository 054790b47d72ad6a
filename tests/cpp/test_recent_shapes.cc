#include <gtest/gtest.h>

#include <memory>

#include "backends/openvino/recent_shapes.h"

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

TEST(RecentShapes, ShapeIsCompiledOnce) {
  Shapes shapes(100);
  EXPECT_EQ(shapes.recall(kSeg, {1, 2}), shapes.recall(kSeg, {1, 2}));
  EXPECT_NE(shapes.recall(kSeg, {1, 2}), shapes.recall(kSeg, {1, 3}));
  EXPECT_NE(shapes.recall(kSeg, {1, 2}), shapes.recall(kRef, {1, 2}));
  EXPECT_EQ(shapes.peek(kRef, {5}), nullptr);
  EXPECT_EQ(Compiled::alive, 3);
}

TEST(RecentShapes, LeastRecentlyUsedShapeGoesAboveTheBudget) {
  Shapes shapes(100);
  use(shapes, kSeg, 1, 40);
  use(shapes, kRef, 1, 20);
  use(shapes, kSeg, 2, 40);
  EXPECT_EQ(Compiled::alive, 3);
  use(shapes, kSeg, 1, 40);  // used again
  use(shapes, kRef, 2, 20);
  EXPECT_TRUE(has(shapes, kSeg, 1));
  EXPECT_TRUE(has(shapes, kRef, 2));
  EXPECT_FALSE(has(shapes, kRef, 1));
  EXPECT_TRUE(has(shapes, kSeg, 2));
  use(shapes, kSeg, 3, 30);
  EXPECT_TRUE(has(shapes, kSeg, 3));
  EXPECT_TRUE(has(shapes, kSeg, 1));
  EXPECT_FALSE(has(shapes, kSeg, 2));
  EXPECT_EQ(Compiled::alive, 3);
}

TEST(RecentShapes, OneRunMayExceedTheBudget) {
  Shapes shapes(100);
  use(shapes, kSeg, 1, 10);
  for (std::int64_t slices = 2; slices < 30; ++slices) {
    use(shapes, kSeg, slices, 1000);
    use(shapes, kRef, slices, 500);
    EXPECT_TRUE(has(shapes, kSeg, slices));
    EXPECT_TRUE(has(shapes, kRef, slices));
    EXPECT_EQ(Compiled::alive, 2);
  }
}

TEST(RecentShapes, ShapesInUseStay) {
  Shapes shapes(100);
  std::shared_ptr<Compiled> held = shapes.recall(kSeg, {1});
  shapes.make_room(*held, 60);
  use(shapes, kSeg, 2, 60);
  EXPECT_FALSE(has(shapes, kSeg, 1));
  EXPECT_EQ(Compiled::alive, 2);
  held.reset();
  EXPECT_EQ(Compiled::alive, 1);
}

TEST(RecentShapes, RemovedNetworkRemovesItsShapes) {
  Shapes shapes(100);
  use(shapes, kSeg, 1, 10);
  use(shapes, kRef, 1, 10);
  shapes.forget(kSeg);
  EXPECT_FALSE(has(shapes, kSeg, 1));
  EXPECT_TRUE(has(shapes, kRef, 1));
  EXPECT_EQ(Compiled::alive, 1);
}

}  // namespace cardiacseg
