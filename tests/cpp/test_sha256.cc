#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "files/sha256.h"

namespace cardiacseg {
namespace {

std::string digest(std::string_view text) { return sha256(std::as_bytes(std::span(text))); }

}  // namespace

TEST(Sha256, ExamplesOfFips180) {
  EXPECT_EQ(digest("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(digest(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(digest("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrs"
                   "mnopqrstnopqrstu"),
            "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
}

TEST(Sha256, MillionTimesA) {
  EXPECT_EQ(digest(std::string(1000000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, PartsOfAnyLengthGiveTheDigestOfTheWhole) {
  const std::string text(1000, 'a');
  const auto bytes = std::as_bytes(std::span(text));
  for (const std::size_t length : {1, 3, 63, 64, 65, 127, 200, 999}) {
    Sha256 hash;
    for (std::size_t at = 0; at < text.size(); at += length) {
      hash.update(bytes.subspan(at, std::min(length, text.size() - at)));
      hash.update({});
    }
    EXPECT_EQ(hash.digest(), sha256(bytes));
  }
}

TEST(Sha256, ProcessorInstructionsGiveTheSameDigest) {
  std::string text;
  for (int index = 0; index < 300; ++index) text += static_cast<char>(index * index);
  for (std::size_t length = 0; length <= text.size(); ++length) {
    const auto bytes = std::as_bytes(std::span(text)).first(length);
    Sha256 portable(true);
    portable.update(bytes);
    EXPECT_EQ(portable.digest(), sha256(bytes));
  }
}

// Lengths round the block size, where the padding takes one block or two; digests from Python's hashlib.
TEST(Sha256, LengthsAroundTheBlockSize) {
  EXPECT_EQ(digest(std::string(55, 'x')), "d5e285683cd4efc02d021a5c62014694958901005d6f71e89e0989fac77e4072");
  EXPECT_EQ(digest(std::string(56, 'x')), "04c26261370ee7541549d16dee320c723e3fd14671e66a099afe0a377c16888e");
  EXPECT_EQ(digest(std::string(63, 'x')), "75220b47218278e656f2013bb8f0c455a25eaf01e86c64924e9d48d89776d6f2");
  EXPECT_EQ(digest(std::string(64, 'x')), "7ce100971f64e7001e8fe5a51973ecdfe1ced42befe7ee8d5fd6219506b5393c");
  EXPECT_EQ(digest(std::string(65, 'x')), "9537c5fdf120482f7d58d25e9ed583f52c02b4e304ea814db1633ad565aed7e9");
  EXPECT_EQ(digest(std::string(119, 'x')), "000b48d4edf0fa7bee3c6236ecd2785baa5db4eeb8bb54341b029e0d9fa5fb0c");
  EXPECT_EQ(digest(std::string(120, 'x')), "13f05a0b594787f5ecd315edc96141bd3243203d1b7d4f0836f37308b276ba98");
  EXPECT_EQ(digest(std::string(128, 'x')), "24da1b81d0b16df6428eee73c69fcb2a93c76bc6df706f0c6670fe6bfe800464");
}

TEST(Sha256, EveryByteValueCounts) {
  std::string all;
  for (int value = 0; value < 256; ++value) all += static_cast<char>(value);
  EXPECT_EQ(digest(all), "40aff2e9d2d8922e47afd4648e6967497158785fbd1da870e7110266bf944880");
}

}  // namespace cardiacseg
