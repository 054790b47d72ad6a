#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "files/blob_store.h"
#include "temporary_folder.h"

namespace cardiacseg {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> files_of(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
  return files;
}

/// As if it had been used so much longer ago.
void age(const fs::path& path, std::chrono::minutes minutes) {
  fs::last_write_time(path, fs::last_write_time(path) - minutes);
}

}  // namespace

TEST(BlobStore, AnotherStoreReadsWhatOneWrote) {
  const test::TemporaryFolder folder;
  const std::string bytes("a\0b\n\xff", 5);
  BlobStore(folder / "made/here", 1000).write("key\nof two lines", bytes);
  const BlobStore store(folder / "made/here", 1000);
  EXPECT_EQ(store.read("key\nof two lines"), bytes);
  EXPECT_FALSE(store.read("key"));
  store.write("empty", "");
  EXPECT_EQ(store.read("empty"), "");
  EXPECT_EQ(files_of(folder / "made/here").size(), 2U);
}

TEST(BlobStore, DamagedFileIsIgnoredAndReplaced) {
  const test::TemporaryFolder folder;
  const BlobStore store(folder.path(), 10000);
  store.write("key", std::string(300, 'x'));
  const fs::path path = files_of(folder.path()).at(0);
  const std::string whole = test::read_text(path);
  std::vector<std::string> damaged{"",
                                   "garbage",
                                   std::string(5000, '\0'),
                                   whole + "y",
                                   "cardiacseg-blob-1 x 99999999999999999999\n",
                                   "cardiacseg-blob-1 x -3\nkey"};
  for (std::size_t length = 0; length < whole.size(); length += 7) damaged.push_back(whole.substr(0, length));
  for (std::size_t at = 0; at < whole.size(); at += 5) {
    damaged.push_back(whole);
    damaged.back()[at] ^= 1;
  }
  for (const std::string& content : damaged) {
    test::write_text(path, content);
    EXPECT_FALSE(store.read("key"));
  }
  store.write("key", std::string(300, 'z'));
  EXPECT_EQ(store.read("key"), std::string(300, 'z'));
}

TEST(BlobStore, FileOfAnotherKeyIsIgnored) {
  const test::TemporaryFolder folder;
  const BlobStore store(folder.path(), 10000);
  store.write("one", "x");
  const fs::path one = files_of(folder.path()).at(0);
  store.write("two", "y");
  for (const fs::path& path : files_of(folder.path())) {
    if (path != one) fs::copy_file(path, one, fs::copy_options::overwrite_existing);
  }
  EXPECT_FALSE(store.read("one"));
  EXPECT_EQ(store.read("two"), "y");
}

TEST(BlobStore, LeastRecentlyUsedFilesGoAboveTheLimit) {
  const test::TemporaryFolder folder;
  const BlobStore store(folder.path(), 5000);
  const std::string bytes(1000, 'x');
  for (const std::string key : {"1", "2", "3", "4"}) {
    for (const fs::path& path : files_of(folder.path())) age(path, std::chrono::minutes(10));
    store.write(key, bytes);
  }
  EXPECT_EQ(store.read("1"), bytes);  // is now the latest used
  store.write("5", bytes);
  EXPECT_TRUE(store.read("1"));
  EXPECT_TRUE(store.read("5"));
  EXPECT_EQ(files_of(folder.path()).size(), 4U);
  std::uintmax_t total = 0;
  for (const fs::path& path : files_of(folder.path())) total += fs::file_size(path);
  EXPECT_LE(total, 5000);
  store.write("too large", std::string(6000, 'x'));
  EXPECT_FALSE(store.read("too large"));
  EXPECT_TRUE(store.read("5"));
}

TEST(BlobStore, UnfinishedFilesOfEndedProcessesAreRemoved) {
  const test::TemporaryFolder folder;
  test::write_text(folder / "a.blob1.part", "old");
  test::write_text(folder / "a.blob2.part", "of a process that is writing");
  test::write_text(folder / "mine.txt", "somebody else's");
  age(folder / "a.blob1.part", std::chrono::minutes(90));
  age(folder / "mine.txt", std::chrono::minutes(90));
  BlobStore(folder.path(), 100).write("key", "x");
  EXPECT_FALSE(fs::exists(folder / "a.blob1.part"));
  EXPECT_TRUE(fs::exists(folder / "a.blob2.part"));
  EXPECT_TRUE(fs::exists(folder / "mine.txt"));
}

TEST(BlobStore, UnusableFolderIsNoError) {
  const test::TemporaryFolder folder;
  test::write_text(folder / "file", "");
  for (const fs::path& path : {fs::path(), folder / "file", folder / "file/below", fs::path("/proc/none")}) {
    const BlobStore store(path, 1000);
    store.write("key", "x");
    EXPECT_FALSE(store.read("key"));
  }
  EXPECT_FALSE(BlobStore({}, 1000).is_on());
}

TEST(BlobStore, ConcurrentReadsAndWrites) {
  const test::TemporaryFolder folder;
  const std::string bytes(100000, 'x');
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (std::size_t index = 0; index < wrong.size(); ++index) {
    threads.emplace_back([&, index] {
      const BlobStore store(folder.path(), 250000);  // two of the three keys fit
      for (int round = 0; round < 30; ++round) {
        const std::string key = std::to_string(round % 3);
        store.write(key, bytes + key);
        const auto found = store.read(key);
        if (found && *found != bytes + key) ++wrong[index];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
  for (const fs::path& path : files_of(folder.path())) EXPECT_EQ(path.extension(), ".blob");
}

}  // namespace cardiacseg
