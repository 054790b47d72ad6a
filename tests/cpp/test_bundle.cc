#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "bundle/bundle.h"
#include "bundle/external_data.h"
#include "expect_error.h"
#include "files/sha256.h"
#include "manifest_text.h"
#include "temporary_folder.h"

namespace cardiacseg {
namespace {

namespace fs = std::filesystem;
using test::manifest_text;
using test::replaced;

void write(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  test::write_text(path, text);
}

std::string text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// A sound bundle in a folder of its own, with a folder beside it; both go when this does.
class BundleFolder {
 public:
  BundleFolder() {
    write(path() / "manifest.json", manifest_text());
    write(path() / "seg.onnx", "seg network");
    write(path() / "ref.onnx", "ref network");
    write(path() / "nets/locate.onnx", "locate network");
    write(path() / "MODEL_CARD.md", "card");
  }

  fs::path path() const { return base_ / "bundle"; }
  fs::path outside() const { return base_ / "outside"; }

 private:
  test::TemporaryFolder base_;
};

}  // namespace

TEST(Bundle, ReadsSoundBundle) {
  const BundleFolder folder;
  const Bundle bundle = read_bundle(folder.path());
  EXPECT_EQ(bundle.manifest.name, "tiny");
  EXPECT_EQ(text_of(bundle.seg), "seg network");
  EXPECT_EQ(text_of(bundle.ref.value()), "ref network");
  EXPECT_EQ(text_of(bundle.locate.value()), "locate network");
  const std::string text = manifest_text();
  EXPECT_EQ(bundle.digest, sha256(std::as_bytes(std::span(text))));
}

TEST(Bundle, SingleStageBundleNeedsNoRef) {
  const BundleFolder folder;
  fs::remove(folder.path() / "ref.onnx");
  std::string text = replaced(manifest_text(), ", \"ref\": \"ref.onnx\"", "");
  const std::size_t at = text.find("    \"ref.onnx\"");
  text.erase(at, text.find('\n', at) + 1 - at);
  write(folder.path() / "manifest.json", text);
  const Bundle bundle = read_bundle(folder.path());
  EXPECT_FALSE(bundle.ref);
  EXPECT_TRUE(bundle.locate);
}

TEST(Bundle, MissingFilesAreNotFound) {
  const BundleFolder folder;
  EXPECT_ERROR(read_bundle(folder.outside()), ErrorCode::not_found, folder.outside().string());
  EXPECT_ERROR(read_bundle(""), ErrorCode::not_found, "folder");
  EXPECT_ERROR(read_bundle(folder.path() / "seg.onnx"), ErrorCode::not_found, "manifest.json");
  fs::remove(folder.path() / "MODEL_CARD.md");
  EXPECT_ERROR(read_bundle(folder.path()), ErrorCode::not_found, "MODEL_CARD.md");
  fs::remove(folder.path() / "manifest.json");
  EXPECT_ERROR(read_bundle(folder.path()), ErrorCode::not_found, "manifest.json");
}

TEST(Bundle, AlteredFilesAreRefused) {
  const BundleFolder folder;
  for (const char* name : {"seg.onnx", "ref.onnx", "nets/locate.onnx", "MODEL_CARD.md"}) {
    const fs::path path = folder.path() / name;
    const std::string sound = test::read_text(path);
    write(path, sound.substr(1));
    EXPECT_ERROR(read_bundle(folder.path()), ErrorCode::bad_bundle, path.filename().string());
    EXPECT_ERROR(read_bundle(folder.path()), ErrorCode::bad_bundle, "bytes as the manifest says");
    write(path, sound + " ");
    EXPECT_ERROR(read_bundle(folder.path()), ErrorCode::bad_bundle, "bytes as the manifest says");
    std::string altered = sound;
    altered.front() = 'X';
    write(path, altered);
    EXPECT_ERROR(read_bundle(folder.path()), ErrorCode::bad_bundle, path.filename().string() + ": expected SHA-256");
    write(path, sound);
  }
  EXPECT_EQ(read_bundle(folder.path()).manifest.name, "tiny");
}

TEST(Bundle, BadManifestIsRefusedByName) {
  const BundleFolder folder;
  const fs::path path = folder.path() / "manifest.json";
  write(path, manifest_text().substr(0, 300));
  EXPECT_ERROR(read_bundle(folder.path()), ErrorCode::bad_bundle, path.string());
  write(path, "");
  EXPECT_ERROR(read_bundle(folder.path()), ErrorCode::bad_bundle, path.string());
  write(path, replaced(manifest_text(), "\"format_version\": 1", "\"format_version\": 3"));
  EXPECT_ERROR(read_bundle(folder.path()), ErrorCode::bad_bundle, "got 3");
  write(path, manifest_text() + std::string(1 << 20, ' '));
  EXPECT_ERROR(read_bundle(folder.path()), ErrorCode::bad_bundle, "at most 1048576 bytes");
}

TEST(Bundle, TooManyListedBytesAreRefusedBeforeReading) {
  const BundleFolder folder;
  fs::remove(folder.path() / "seg.onnx");
  const auto list = [&](const std::string& bytes) {
    write(folder.path() / "manifest.json", replaced(manifest_text(), "\"bytes\": 11", "\"bytes\": " + bytes));
  };
  list("536870913");
  EXPECT_ERROR(read_bundle(folder.path()), ErrorCode::bad_bundle, "up to 512 MiB (536870912), got 536870913");
  list("268435456");
  EXPECT_ERROR(read_bundle(folder.path()), ErrorCode::not_found, "seg.onnx");
  std::string text = replaced(manifest_text(), "\"bytes\": 11", "\"bytes\": 268435456");
  text = replaced(text, "\"bytes\": 11", "\"bytes\": 268435456");
  write(folder.path() / "manifest.json", text);
  EXPECT_ERROR(read_bundle(folder.path()), ErrorCode::bad_bundle, "at most 512 MiB (536870912 bytes) in all");
}

TEST(Bundle, FileOfManyBlocksIsReadWhole) {
  const BundleFolder folder;
  const std::string content((3 << 20) + 5, 'x');
  write(folder.path() / "seg.onnx", content);
  const std::string entry = sha256(std::as_bytes(std::span(content))) + "\", \"bytes\": 3145733";
  write(folder.path() / "manifest.json",
        replaced(manifest_text(), "43067490fdcbd3ae8ba80b28c1272ee40ac4d6aca1714776a6e0827a9b23c1bb\", \"bytes\": 11",
                 entry));
  EXPECT_EQ(text_of(read_bundle(folder.path()).seg), content);
}

TEST(Bundle, ExternalDataInArbitraryBytes) {
  std::mt19937 random(3);
  for (int round = 0; round < 2000; ++round) {
    std::vector<std::byte> bytes(random() % 64);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
    static_cast<void>(has_external_data(bytes));  // ends, and reads nothing beyond its end
  }
  const auto found = [](std::string_view text) { return has_external_data(std::as_bytes(std::span(text))); };
  using namespace std::string_view_literals;
  EXPECT_FALSE(found("not a network"));
  EXPECT_FALSE(found(""));
  EXPECT_TRUE(found("\x3a\x04\x2a\x02\x70\x01"sv));                  // model.graph.initializer.data_location = EXTERNAL
  EXPECT_FALSE(found("\x3a\x04\x2a\x02\x70\x00"sv));                 // DEFAULT
  EXPECT_FALSE(found("\x3a\x05\x2a\x02\x70\x01"sv));                 // cut short
  EXPECT_TRUE(found("\x0b\x08\x01\x0c\x3a\x04\x2a\x02\x70\x01"sv));  // behind a group
  EXPECT_FALSE(found("\x0b\x3a\x04\x2a\x02\x70\x01\x0c"sv));         // in a group, which is no part of ONNX
}

TEST(Bundle, LinkOutOfTheFolderIsRefused) {
  const BundleFolder folder;
  const fs::path seg = folder.path() / "seg.onnx";
  write(folder.outside() / "seg.onnx", "seg network");
  fs::remove(seg);
  fs::create_symlink("../outside/seg.onnx", seg);
  EXPECT_ERROR(read_bundle(folder.path()), ErrorCode::bad_bundle, "seg.onnx: expected a file in the bundle's folder");
  fs::remove(seg);
  write(folder.path() / "nets/inner.onnx", "seg network");
  fs::create_symlink("nets/inner.onnx", seg);
  EXPECT_EQ(text_of(read_bundle(folder.path()).seg), "seg network");
  fs::remove(seg);
  fs::create_symlink("seg.onnx", seg);
  EXPECT_ERROR(read_bundle(folder.path()), ErrorCode::bad_bundle, "seg.onnx");
}

TEST(Bundle, LinkedFolderOutsideIsRefused) {
  const BundleFolder folder;
  write(folder.outside() / "locate.onnx", "locate network");
  fs::remove_all(folder.path() / "nets");
  fs::create_directory_symlink(folder.outside(), folder.path() / "nets");
  EXPECT_ERROR(read_bundle(folder.path()), ErrorCode::bad_bundle, "locate.onnx: expected a file in");
}

TEST(Bundle, BundleFolderMayBeALink) {
  const BundleFolder folder;
  fs::create_directory_symlink("bundle", folder.outside());
  EXPECT_EQ(text_of(read_bundle(folder.outside()).seg), "seg network");
}

TEST(Bundle, OnlyRegularFilesAreRead) {
  const BundleFolder folder;
  const fs::path seg = folder.path() / "seg.onnx";
  fs::remove(seg);
  fs::create_directory(seg);
  EXPECT_ERROR(read_bundle(folder.path()), ErrorCode::bad_bundle, "seg.onnx: expected a regular file");
  fs::remove(seg);
  EXPECT_EQ(mkfifo(seg.c_str(), 0600), 0);
  EXPECT_ERROR(read_bundle(folder.path()), ErrorCode::bad_bundle, "seg.onnx: expected a regular file");
}

TEST(Bundle, ImpossibleFileNameIsRefused) {
  const BundleFolder folder;
  const std::string name(5000, 'x');
  write(folder.path() / "manifest.json", replaced(manifest_text(), "MODEL_CARD.md", name));
  EXPECT_ERROR(read_bundle(folder.path()), ErrorCode::bad_bundle, "expected a file of the bundle");
}

TEST(Bundle, MutatedManifestsGiveABundleOrAnError) {
  const BundleFolder folder;
  std::mt19937 random(7);
  int counted = 0;
  for (int round = 0; round < 500; ++round) {
    std::string text = manifest_text();
    for (int change = 0; change < 2; ++change) text[random() % text.size()] = static_cast<char>(random() % 256);
    write(folder.path() / "manifest.json", text);
    try {
      read_bundle(folder.path());
      ++counted;
    } catch (const Error& error) {
      counted += error.code() == ErrorCode::bad_bundle || error.code() == ErrorCode::not_found ? 1 : 0;
    }
  }
  EXPECT_EQ(counted, 500);
}

}  // namespace cardiacseg
