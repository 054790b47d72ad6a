#include "backends/tensorrt/engine_file.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "expect_error.h"
#include "sample_engine.h"
#include "temporary_folder.h"

namespace cardiacseg::tensorrt {
namespace {

using test::read_text;
using test::sample_info;
using test::TemporaryFolder;
using test::write_text;

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

const std::string kPlan = "the plan of an engine";

/// A file of a sound engine in a folder of its own.
struct Sample {
  TemporaryFolder folder;
  std::filesystem::path path = folder / "an.engine";
  EngineInfo info = write_engine_file(path, sample_info(), bytes_of(kPlan));
  std::string bytes = read_text(path);

  std::size_t plan_start() const { return bytes.size() - kPlan.size(); }

  /// The file with another content.
  std::filesystem::path with(const std::string& content) const {
    write_text(path, content);
    return path;
  }
};

std::size_t files_in(const std::filesystem::path& folder) {
  return static_cast<std::size_t>(
      std::distance(std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator()));
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  if (at == std::string::npos || from.size() != to.size()) throw std::logic_error("cannot replace " + from);
  return text.replace(at, from.size(), to);
}

}  // namespace

TEST(EngineFile, ReadsWhatWasWritten) {
  const Sample sample;
  const EngineArtifact file = read_engine_file(sample.path);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(file.plan.data()), file.plan.size()), kPlan);
  const EngineInfo& info = file.info;
  EXPECT_EQ(info.facts.model, "tiny");
  EXPECT_EQ(info.facts.stage, "seg");
  EXPECT_EQ(info.facts.onnx_sha256, std::string(64, 'a'));
  EXPECT_EQ(info.facts.precision, "fp16");
  EXPECT_FALSE(info.facts.plugin);
  EXPECT_TRUE(info.facts.inputs.size() == 1 && info.facts.inputs[0].name == "image");
  EXPECT_EQ(info.facts.inputs[0].best, (std::vector<std::int64_t>{1, 4, 1, 32, 32}));
  EXPECT_EQ(info.facts.inputs[0].largest, (std::vector<std::int64_t>{4, 8, 1, 32, 32}));
  EXPECT_EQ(info.facts.outputs, (std::vector<std::string>{"logits", "presence"}));
  EXPECT_EQ(info.flavour, "tensorrt");
  EXPECT_EQ(info.library_version, "10.16.0");
  EXPECT_EQ(info.version, "0.1.0");
  EXPECT_EQ(info.compute_capabilities, std::vector<std::string>{"9.0"});
  EXPECT_EQ(info.gpu, "NVIDIA H100");
  EXPECT_TRUE(info.verified_on.empty());
  EXPECT_TRUE(info.plan_bytes == kPlan.size() && info.plan_sha256 == sample.info.plan_sha256);
  EXPECT_EQ(read_engine_header(sample.path).plan_sha256, info.plan_sha256);
}

TEST(EngineFile, ReadsAnEngineBuiltWithoutAGpu) {
  const TemporaryFolder folder;
  EngineInfo info = sample_info();
  info.gpu.clear();
  info.compute_capabilities.clear();
  write_engine_file(folder / "new/an.engine", info, bytes_of(""));
  const EngineArtifact file = read_engine_file(folder / "new/an.engine");
  EXPECT_TRUE(file.info.gpu.empty());
  EXPECT_TRUE(file.info.compute_capabilities.empty());
  EXPECT_TRUE(file.plan.empty());
}

TEST(EngineFile, OtherFilesAreRefused) {
  const Sample sample;
  const auto refuses = [&](const std::string& content, const std::string& text) {
    EXPECT_ERROR(read_engine_header(sample.with(content)), ErrorCode::backend, text);
    EXPECT_ERROR(read_engine_header(sample.path), ErrorCode::backend, sample.path.string() + ": ");
  };
  refuses("", "expected 16 bytes of an engine file's start, got 0; the file is truncated");
  refuses("ONNX" + sample.bytes, "expected an engine file of cardiacseg, got another kind of file");
  refuses(replaced(sample.bytes, std::string("CSEGENG\n\x01", 9), "CSEGENG\n\x02"),
          "expected format 1, the one that this library reads, got format 2");
  refuses(sample.bytes + "more", "expected a plan of 21 bytes as the header says, got 25");
  refuses(replaced(sample.bytes, "fp16", "fp61"), "expected precision fp16 or fp32, got \"fp61\"");
  refuses(replaced(sample.bytes, "\"seg\"", "\"gap\""), "expected stage locate, seg or ref, got \"gap\"");
  refuses(replaced(sample.bytes, "\"flavour\"", "\"savour.\""), "\"flavour\": expected a text, got nothing");
  refuses(replaced(sample.bytes, "false", "12345"), "\"plugin\": expected true or false, got 12345");
  EXPECT_ERROR(read_engine_header(sample.folder / "none.engine"), ErrorCode::backend,
               "none.engine: expected an engine file, got: ");
  EXPECT_ERROR(read_engine_header(sample.folder.path()), ErrorCode::backend, "expected an engine file, got: ");
}

TEST(EngineFile, UnterminatedHeaderIsRefused) {
  const Sample sample;
  std::string bytes = sample.bytes;
  bytes.replace(12, 4, "\xff\xff\xff\x7f");
  EXPECT_ERROR(read_engine_header(sample.with(bytes)), ErrorCode::backend, "expected a header of at most 1048576");
}

TEST(EngineFile, UnorderedShapesAreRefused) {
  const TemporaryFolder folder;
  for (const std::vector<std::int64_t>& best : std::vector<std::vector<std::int64_t>>{{9, 4, 1, 32, 32}, {1, 4}}) {
    EngineInfo info = sample_info();
    info.facts.inputs[0].best = best;
    write_engine_file(folder / "an.engine", info, bytes_of(kPlan));
    EXPECT_ERROR(read_engine_header(folder / "an.engine"), ErrorCode::backend, "smallest <= best <= largest");
  }
}

TEST(EngineFile, EveryTruncationIsRefused) {
  const Sample sample;
  for (std::size_t size = 0; size < sample.bytes.size(); ++size) {
    // The padding of the header alone is thousands of bytes.
    if (size > 1500 && size + 50 < sample.plan_start() && size % 97 != 0) continue;
    EXPECT_ERROR(read_engine_file(sample.with(sample.bytes.substr(0, size))), ErrorCode::backend, "expected");
  }
}

/// One flipped bit may leave a header that can be read (a letter of a name), but nothing other than Error may come of
/// it.
TEST(EngineFile, FlippedBitsAreNoticedInThePlanAndHarmlessElsewhere) {
  const Sample sample;
  const std::size_t header_end = sample.bytes.find_last_of('}');
  int refused = 0;
  for (std::size_t at = 0; at < sample.bytes.size(); ++at) {
    if (at > header_end && at + 8 < sample.plan_start()) continue;
    std::string bytes = sample.bytes;
    bytes[at] = static_cast<char>(bytes[at] ^ 1 << at % 8);
    try {
      read_engine_file(sample.with(bytes));
      EXPECT_LT(at, sample.plan_start());
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::backend);
      ++refused;
    }
  }
  EXPECT_GT(refused, 400);
}

TEST(EngineFile, VerifiedGpuIsNotedOnceAndThePlanStays) {
  const Sample sample;
  note_verified(sample.path, "NVIDIA H100");
  note_verified(sample.path, "NVIDIA L4");
  note_verified(sample.path, "NVIDIA H100");
  const EngineArtifact file = read_engine_file(sample.path);
  EXPECT_EQ(file.info.verified_on, (std::vector<std::string>{"NVIDIA H100", "NVIDIA L4"}));
  EXPECT_EQ(file.info.plan_sha256, sample.info.plan_sha256);
  EXPECT_EQ(read_text(sample.path).find(kPlan), sample.plan_start());
  EXPECT_EQ(files_in(sample.folder.path()), 1);
}

TEST(EngineFile, ReaderNeverSeesAPartialFile) {
  const Sample sample;
  const std::string long_name(200, 'G');  // so that the plan moves now and then
  std::atomic<bool> done = false;
  std::thread writer([&] {
    for (int number = 0; number < 40; ++number) note_verified(sample.path, long_name + std::to_string(number));
    done = true;
  });
  std::size_t most = 0;
  while (!done) most = std::max(most, read_engine_file(sample.path).info.verified_on.size());
  writer.join();
  EXPECT_TRUE(most <= 40 && read_engine_file(sample.path).info.verified_on.size() == 40);
}

TEST(EngineFile, FailedWriteLeavesNothing) {
  const Sample sample;
  const std::string before = read_text(sample.path);
  EXPECT_ERROR(write_engine_file(sample.path / "an.engine", sample_info(), bytes_of(kPlan)), ErrorCode::backend,
               "the engine file could not be written");
  EXPECT_EQ(read_text(sample.path), before);
  EXPECT_EQ(files_in(sample.folder.path()), 1);
}

}  // namespace cardiacseg::tensorrt
