#include <sys/stat.h>

#include <filesystem>
#include <random>
#include <string>

#include "bundle/bundle.h"
#include "check.h"
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

TEST(a_sound_bundle_is_read) {
  const BundleFolder folder;
  const Bundle bundle = read_bundle(folder.path());
  CHECK(bundle.manifest.name == "tiny");
  CHECK(text_of(bundle.seg) == "seg network");
  CHECK(text_of(bundle.ref.value()) == "ref network");
  CHECK(text_of(bundle.locate.value()) == "locate network");
  const std::string text = manifest_text();
  CHECK(bundle.digest == sha256(std::as_bytes(std::span(text))));
}

TEST(a_single_stage_bundle_needs_no_ref) {
  const BundleFolder folder;
  fs::remove(folder.path() / "ref.onnx");
  std::string text = replaced(manifest_text(), ", \"ref\": \"ref.onnx\"", "");
  const std::size_t at = text.find("    \"ref.onnx\"");
  text.erase(at, text.find('\n', at) + 1 - at);
  write(folder.path() / "manifest.json", text);
  const Bundle bundle = read_bundle(folder.path());
  CHECK(!bundle.ref && bundle.locate);
}

TEST(missing_things_are_not_found) {
  const BundleFolder folder;
  CHECK_THROWS_CODE(read_bundle(folder.outside()), ErrorCode::not_found, folder.outside().string());
  CHECK_THROWS_CODE(read_bundle(""), ErrorCode::not_found, "folder");
  CHECK_THROWS_CODE(read_bundle(folder.path() / "seg.onnx"), ErrorCode::not_found, "manifest.json");
  fs::remove(folder.path() / "MODEL_CARD.md");
  CHECK_THROWS_CODE(read_bundle(folder.path()), ErrorCode::not_found, "MODEL_CARD.md");
  fs::remove(folder.path() / "manifest.json");
  CHECK_THROWS_CODE(read_bundle(folder.path()), ErrorCode::not_found, "manifest.json");
}

TEST(altered_files_are_refused) {
  const BundleFolder folder;
  for (const char* name : {"seg.onnx", "ref.onnx", "nets/locate.onnx", "MODEL_CARD.md"}) {
    const fs::path path = folder.path() / name;
    const std::string sound = test::read_text(path);
    write(path, sound.substr(1));
    CHECK_THROWS_CODE(read_bundle(folder.path()), ErrorCode::bad_bundle, path.filename().string());
    CHECK_THROWS_CODE(read_bundle(folder.path()), ErrorCode::bad_bundle, "bytes as the manifest says");
    write(path, sound + " ");
    CHECK_THROWS_CODE(read_bundle(folder.path()), ErrorCode::bad_bundle, "bytes as the manifest says");
    std::string altered = sound;
    altered.front() = 'X';
    write(path, altered);
    CHECK_THROWS_CODE(read_bundle(folder.path()), ErrorCode::bad_bundle, path.filename().string() + ": wanted SHA-256");
    write(path, sound);
  }
  CHECK(read_bundle(folder.path()).manifest.name == "tiny");
}

TEST(a_bad_manifest_is_refused_by_name) {
  const BundleFolder folder;
  const fs::path path = folder.path() / "manifest.json";
  write(path, manifest_text().substr(0, 300));
  CHECK_THROWS_CODE(read_bundle(folder.path()), ErrorCode::bad_bundle, path.string());
  write(path, "");
  CHECK_THROWS_CODE(read_bundle(folder.path()), ErrorCode::bad_bundle, path.string());
  write(path, replaced(manifest_text(), "\"format_version\": 1", "\"format_version\": 2"));
  CHECK_THROWS_CODE(read_bundle(folder.path()), ErrorCode::bad_bundle, "found 2");
  write(path, manifest_text() + std::string(1 << 20, ' '));
  CHECK_THROWS_CODE(read_bundle(folder.path()), ErrorCode::bad_bundle, "at most 1048576 bytes");
}

TEST(links_may_not_lead_out) {
  const BundleFolder folder;
  const fs::path seg = folder.path() / "seg.onnx";
  write(folder.outside() / "seg.onnx", "seg network");
  fs::remove(seg);
  fs::create_symlink("../outside/seg.onnx", seg);
  CHECK_THROWS_CODE(read_bundle(folder.path()), ErrorCode::bad_bundle,
                    "seg.onnx: wanted a file in the bundle's folder");
  fs::remove(seg);
  write(folder.path() / "nets/inner.onnx", "seg network");
  fs::create_symlink("nets/inner.onnx", seg);
  CHECK(text_of(read_bundle(folder.path()).seg) == "seg network");
  fs::remove(seg);
  fs::create_symlink("seg.onnx", seg);
  CHECK_THROWS_CODE(read_bundle(folder.path()), ErrorCode::bad_bundle, "seg.onnx");
}

TEST(a_linked_folder_may_not_lead_out) {
  const BundleFolder folder;
  write(folder.outside() / "locate.onnx", "locate network");
  fs::remove_all(folder.path() / "nets");
  fs::create_directory_symlink(folder.outside(), folder.path() / "nets");
  CHECK_THROWS_CODE(read_bundle(folder.path()), ErrorCode::bad_bundle, "locate.onnx: wanted a file in");
}

TEST(the_bundle_itself_may_be_reached_by_a_link) {
  const BundleFolder folder;
  fs::create_directory_symlink("bundle", folder.outside());
  CHECK(text_of(read_bundle(folder.outside()).seg) == "seg network");
}

TEST(only_regular_files_are_read) {
  const BundleFolder folder;
  const fs::path seg = folder.path() / "seg.onnx";
  fs::remove(seg);
  fs::create_directory(seg);
  CHECK_THROWS_CODE(read_bundle(folder.path()), ErrorCode::bad_bundle, "seg.onnx: wanted a regular file");
  fs::remove(seg);
  CHECK(mkfifo(seg.c_str(), 0600) == 0);
  CHECK_THROWS_CODE(read_bundle(folder.path()), ErrorCode::bad_bundle, "seg.onnx: wanted a regular file");
}

TEST(a_name_that_no_file_can_have_is_refused) {
  const BundleFolder folder;
  const std::string name(5000, 'x');
  write(folder.path() / "manifest.json", replaced(manifest_text(), "MODEL_CARD.md", name));
  CHECK_THROWS_CODE(read_bundle(folder.path()), ErrorCode::bad_bundle, "wanted a file of the bundle");
}

TEST(mutated_manifests_give_a_bundle_or_our_error) {
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
  CHECK(counted == 500);
}

}  // namespace cardiacseg
