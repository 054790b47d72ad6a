// Structs of the C API between programs and libraries of different versions.

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "c_api/call.h"
#include "expect_error.h"

namespace cardiacseg::c_api {

namespace {

/// A struct that got a member after version 1, and what the next version may make of it.
struct Known {
  std::size_t struct_size;
  std::int64_t first;
  double later;
};
struct Newer {
  Known known;
  double latest;
};

constexpr std::size_t kVersion1 = offsetof(Known, later);
constexpr Known kDefaults{sizeof(Known), 3, 0.5};

}  // namespace

template <>
inline constexpr std::size_t kSmallestSize<Known> = kVersion1;

TEST(CStructs, AnOlderProgramGetsDefaultsForWhatItDoesNotHave) {
  const Known given{kVersion1, 7, 99};
  const Known copy = read_struct(&given, kDefaults, "known");
  EXPECT_EQ(copy.first, 7);
  EXPECT_EQ(copy.later, 0.5);
}

TEST(CStructs, NothingIsWrittenBehindAnOlderProgramsStruct) {
  Known given{kVersion1, 7, 99};
  Known copy = read_struct(&given, kDefaults, "known");
  copy.first = 8;
  copy.later = 1;
  write_struct(copy, &given);
  EXPECT_EQ(given.struct_size, kVersion1);
  EXPECT_EQ(given.first, 8);
  EXPECT_EQ(given.later, 99);
}

TEST(CStructs, ANewerProgramIsServedIfItAsksForNothingNew) {
  Newer given{{sizeof(Newer), 7, 2}, 0};
  Known copy = read_struct(&given.known, kDefaults, "known");
  EXPECT_EQ(copy.later, 2);
  copy.later = 1;
  write_struct(copy, &given.known);
  EXPECT_EQ(given.known.struct_size, sizeof(Newer));
  EXPECT_EQ(given.known.later, 1);
  given.latest = 1;
  EXPECT_THROW_MESSAGE(read_struct(&given.known, kDefaults, "known"), Failure, "does not know");
}

TEST(CStructs, ASizeOfNoVersionIsRefused) {
  for (const std::size_t size : {std::size_t{0}, kVersion1 - 1, std::size_t{1} << 20, ~std::size_t{0}}) {
    const Known given{size, 7, 2};
    const std::string message = "known: expected a struct_size of at least 16, got " + std::to_string(size);
    EXPECT_THROW_MESSAGE(read_struct(&given, kDefaults, "known"), Failure, message);
  }
}

// On 64-bit systems no struct has padding at its end; tests/c/abi.txt holds the sizes.
TEST(CStructs, TodaysStructsAreThoseOfVersion1) {
  if (sizeof(void*) != 8) GTEST_SKIP() << "padding may differ";
  EXPECT_EQ(kSmallestSize<csg_segmenter_options>, 48);
  EXPECT_EQ(kSmallestSize<csg_cine>, 112);
  EXPECT_EQ(kSmallestSize<csg_run_options>, 48);
  EXPECT_EQ(kSmallestSize<csg_run_outputs>, 128);
  EXPECT_EQ(kSmallestSize<csg_measure_options>, 112);
  EXPECT_EQ(kSmallestSize<csg_measurements>, 616);
}

}  // namespace cardiacseg::c_api
