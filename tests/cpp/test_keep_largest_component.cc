#include <gtest/gtest.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "expect_error.h"
#include "ops/keep_largest_component.h"

namespace cardiacseg::ops {
namespace {

using Labels = std::vector<std::uint8_t>;

/// Labels of a slice drawn as text: '.' is background; spaces part rows for the eye.
Labels drawn(const std::string& picture) {
  Labels labels;
  for (const char c : picture) {
    if (c != ' ') labels.push_back(c == '.' ? std::uint8_t{0} : static_cast<std::uint8_t>(c - '0'));
  }
  return labels;
}

/// Whether cleaning `before` (slices above each other) gives `after` and says how many voxels differ.
bool cleans(const std::string& before, const std::string& after, std::int64_t rows, std::int64_t columns) {
  Labels labels = drawn(before);
  const Labels old = labels;
  const auto slices = static_cast<std::int64_t>(labels.size()) / (rows * columns);
  const std::int64_t changed = keep_largest_component(labels, slices, rows, columns);
  std::int64_t differ = 0;
  for (std::size_t index = 0; index < labels.size(); ++index) differ += labels[index] != old[index];
  return labels == drawn(after) && changed == differ;
}

bool stays(const std::string& picture, std::int64_t rows, std::int64_t columns) {
  return cleans(picture, picture, rows, columns);
}

}  // namespace

TEST(KeepLargestComponent, LargestRegionStays) {
  EXPECT_TRUE(cleans("11..1 11... ..... 22..2", "11... 11... ..... 22...", 4, 5));
  EXPECT_TRUE(cleans("1..11 ....1", "...11 ....1", 2, 5));
  EXPECT_TRUE(cleans("1.11.111", ".....111", 1, 8));
}

TEST(KeepLargestComponent, FirstOfEqualRegionsStays) {
  EXPECT_TRUE(cleans("1.1.1", "1....", 1, 5));
  EXPECT_TRUE(cleans("...3 3... ...3", "...3 3... ...3", 1, 4));
  EXPECT_TRUE(cleans("..3 ... 3..", "..3 ... ...", 3, 3));
}

TEST(KeepLargestComponent, CornersConnectAStructure) {
  EXPECT_TRUE(stays("1... .1.. ..1. ...1", 4, 4));
  EXPECT_TRUE(stays("...2 ..2. .2.. 2...", 4, 4));
  EXPECT_TRUE(cleans("1..1 .1..", "1... .1..", 2, 4));
}

TEST(KeepLargestComponent, StructuresDoNotConnectEachOther) {
  EXPECT_TRUE(cleans("11211 .....", "112.. .....", 2, 5));
  EXPECT_TRUE(stays("123 123", 2, 3));
}

TEST(KeepLargestComponent, SlicesAreSeparate) {
  EXPECT_TRUE(stays("1.. ..1", 1, 3));
  EXPECT_TRUE(cleans("11.1 1.11", "11.. ..11", 1, 4));
}

TEST(KeepLargestComponent, ThreadsGiveTheSameLabels) {
  for (const int threads : {0, 2, 3, 16}) {
    Labels labels = drawn("11.1 1.11 .... 222. 2.22");
    EXPECT_EQ(keep_largest_component(labels, 5, 1, 4, threads), 3);
    EXPECT_EQ(labels, drawn("11.. ..11 .... 222. ..22"));
  }
}

TEST(KeepLargestComponent, HoleTakesTheLabelAroundIt) {
  EXPECT_TRUE(cleans("333 3.3 333", "333 333 333", 3, 3));
  EXPECT_TRUE(cleans("..... .222. .2.2. .222. .....", "..... .222. .222. .222. .....", 5, 5));
  EXPECT_TRUE(cleans("11111 1...1 1.1.1 11111", "11111 11111 11111 11111", 4, 5));
}

// The corners do not let background through: it connects by sides alone.
TEST(KeepLargestComponent, BackgroundConnectsBySides) {
  EXPECT_TRUE(cleans(".1. 1.1 .1.", ".1. 111 .1.", 3, 3));
  EXPECT_TRUE(cleans(".22. 2..2 .22.", ".22. 2222 .22.", 3, 4));
}

TEST(KeepLargestComponent, BackgroundAtTheBorderIsNoHole) {
  EXPECT_TRUE(stays("222 2.. 222", 3, 3));
  EXPECT_TRUE(stays("2.2 2.2 222", 3, 3));
  EXPECT_TRUE(stays(".... .222 .2.. .222", 4, 4));
}

TEST(KeepLargestComponent, HoleTakesTheLabelOfItsLongestBorder) {
  EXPECT_TRUE(cleans(".111. .1.2. .111.", ".111. .112. .111.", 3, 5));
  EXPECT_TRUE(cleans("22222 2...1 22222", "22222 22221 22222", 3, 5));
}

// Two sides of each: a tie, which the lower label wins.
TEST(KeepLargestComponent, LowestLabelWinsATie) {
  EXPECT_TRUE(cleans("33. 3.1 .11", "33. 311 .11", 3, 3));
  EXPECT_TRUE(cleans("22. 2.3 .33", "22. 223 .33", 3, 3));
}

// Of the hole's eight sides 1 has four with three pixels and 2 has four with four: a tie.
TEST(KeepLargestComponent, BorderCountsPixelSides) {
  EXPECT_TRUE(cleans(".1.. 2.1. 2..1 .22.", ".1.. 211. 2111 .22.", 4, 4));
  EXPECT_TRUE(cleans(".33. 3..2 .32.", ".33. 3332 .32.", 3, 4));
}

TEST(KeepLargestComponent, StructureInsideAnotherStays) {
  EXPECT_TRUE(stays("..... .222. .232. .222. .....", 5, 5));
  EXPECT_TRUE(stays("22222 23332 23132 23332 22222", 5, 5));
}

TEST(KeepLargestComponent, FragmentInsideAStructureIsFilled) {
  EXPECT_TRUE(cleans("3333. 3233. 3333. ....2 ...22", "3333. 3333. 3333. ....2 ...22", 5, 5));
}

// The dot of label 2 goes as a fragment and comes back with the hole: it did not change.
TEST(KeepLargestComponent, RestoredPixelsAreNotCounted) {
  EXPECT_TRUE(cleans("22222 2...2 2.2.2 2...2 22222", "22222 22222 22222 22222 22222", 5, 5));
}

TEST(KeepLargestComponent, CleanLabelsAreUnchanged) {
  EXPECT_TRUE(stays("....", 2, 2));
  EXPECT_TRUE(stays("2", 1, 1));
  EXPECT_TRUE(stays("1111", 2, 2));
  EXPECT_TRUE(stays("..... ..1.. ..... ..2.. .....", 5, 5));
}

TEST(KeepLargestComponent, WrongInputIsRefused) {
  Labels labels(6);
  EXPECT_THROW_MESSAGE(keep_largest_component(labels, 1, 2, 2), std::invalid_argument,
                       "labels of keep_largest_component: expected 4 values, got 6");
  EXPECT_THROW_MESSAGE(keep_largest_component({}, 0, 2, 3), std::invalid_argument, "1 or more");
  labels[4] = 4;
  EXPECT_THROW_MESSAGE(keep_largest_component(labels, 1, 2, 3), std::invalid_argument, "expected 0 to 3, got 4");
}

}  // namespace cardiacseg::ops
