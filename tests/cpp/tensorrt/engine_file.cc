#include "backends/tensorrt/engine_file.h"

#include <algorithm>
#include <atomic>
#include <iterator>
#include <string>
#include <thread>

#include "check.h"
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

TEST(what_is_written_is_read) {
  const Sample sample;
  const EngineArtifact file = read_engine_file(sample.path);
  CHECK(std::string(reinterpret_cast<const char*>(file.plan.data()), file.plan.size()) == kPlan);
  const EngineInfo& info = file.info;
  CHECK(info.facts.model == "tiny" && info.facts.stage == "seg" && info.facts.onnx_sha256 == std::string(64, 'a'));
  CHECK(info.facts.precision == "fp16" && !info.facts.plugin);
  CHECK(info.facts.inputs.size() == 1 && info.facts.inputs[0].name == "image");
  CHECK((info.facts.inputs[0].best == std::vector<std::int64_t>{1, 4, 1, 32, 32}));
  CHECK((info.facts.inputs[0].largest == std::vector<std::int64_t>{4, 8, 1, 32, 32}));
  CHECK((info.facts.outputs == std::vector<std::string>{"logits", "presence"}));
  CHECK(info.flavour == "tensorrt" && info.library_version == "10.16.0" && info.version == "0.1.0");
  CHECK(info.compute_capabilities == std::vector<std::string>{"9.0"} && info.gpu == "NVIDIA H100");
  CHECK(info.verified_on.empty());
  CHECK(info.plan_bytes == kPlan.size() && info.plan_sha256 == sample.info.plan_sha256);
  CHECK(read_engine_header(sample.path).plan_sha256 == info.plan_sha256);
}

TEST(an_engine_built_on_no_gpu_is_read) {
  const TemporaryFolder folder;
  EngineInfo info = sample_info();
  info.gpu.clear();
  info.compute_capabilities.clear();
  write_engine_file(folder / "new/an.engine", info, bytes_of(""));
  const EngineArtifact file = read_engine_file(folder / "new/an.engine");
  CHECK(file.info.gpu.empty() && file.info.compute_capabilities.empty() && file.plan.empty());
}

TEST(other_files_are_refused) {
  const Sample sample;
  const auto refuses = [&](const std::string& content, const std::string& text) {
    CHECK_THROWS_CODE(read_engine_header(sample.with(content)), ErrorCode::backend, text);
    CHECK_THROWS_CODE(read_engine_header(sample.path), ErrorCode::backend, sample.path.string() + ": ");
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
  CHECK_THROWS_CODE(read_engine_header(sample.folder / "none.engine"), ErrorCode::backend,
                    "none.engine: expected an engine file, got: ");
  CHECK_THROWS_CODE(read_engine_header(sample.folder.path()), ErrorCode::backend, "expected an engine file, got: ");
}

TEST(a_header_that_does_not_end_is_refused) {
  const Sample sample;
  std::string bytes = sample.bytes;
  bytes.replace(12, 4, "\xff\xff\xff\x7f");
  CHECK_THROWS_CODE(read_engine_header(sample.with(bytes)), ErrorCode::backend, "expected a header of at most 1048576");
}

TEST(a_shape_out_of_order_is_refused) {
  const TemporaryFolder folder;
  for (const std::vector<std::int64_t>& best : std::vector<std::vector<std::int64_t>>{{9, 4, 1, 32, 32}, {1, 4}}) {
    EngineInfo info = sample_info();
    info.facts.inputs[0].best = best;
    write_engine_file(folder / "an.engine", info, bytes_of(kPlan));
    CHECK_THROWS_CODE(read_engine_header(folder / "an.engine"), ErrorCode::backend, "smallest <= best <= largest");
  }
}

TEST(every_truncation_is_refused) {
  const Sample sample;
  for (std::size_t size = 0; size < sample.bytes.size(); ++size) {
    // The padding of the header alone is thousands of bytes.
    if (size > 1500 && size + 50 < sample.plan_start() && size % 97 != 0) continue;
    CHECK_THROWS_CODE(read_engine_file(sample.with(sample.bytes.substr(0, size))), ErrorCode::backend, "expected");
  }
}

/// One flipped bit may leave a header that can be read (a letter of a name), but nothing other than Error may come of
/// it.
TEST(no_flipped_bit_goes_unnoticed_in_the_plan_or_breaks_anything_elsewhere) {
  const Sample sample;
  const std::size_t header_end = sample.bytes.find_last_of('}');
  int refused = 0;
  for (std::size_t at = 0; at < sample.bytes.size(); ++at) {
    if (at > header_end && at + 8 < sample.plan_start()) continue;
    std::string bytes = sample.bytes;
    bytes[at] = static_cast<char>(bytes[at] ^ 1 << at % 8);
    try {
      read_engine_file(sample.with(bytes));
      CHECK(at < sample.plan_start());
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::backend);
      ++refused;
    }
  }
  CHECK(refused > 400);
}

TEST(a_gpu_is_noted_once_and_the_plan_stays) {
  const Sample sample;
  note_verified(sample.path, "NVIDIA H100");
  note_verified(sample.path, "NVIDIA L4");
  note_verified(sample.path, "NVIDIA H100");
  const EngineArtifact file = read_engine_file(sample.path);
  CHECK((file.info.verified_on == std::vector<std::string>{"NVIDIA H100", "NVIDIA L4"}));
  CHECK(file.info.plan_sha256 == sample.info.plan_sha256);
  CHECK(read_text(sample.path).find(kPlan) == sample.plan_start());
  CHECK(files_in(sample.folder.path()) == 1);
}

TEST(a_reader_never_sees_half_a_file) {
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
  CHECK(most <= 40 && read_engine_file(sample.path).info.verified_on.size() == 40);
}

TEST(what_cannot_be_written_is_refused_and_leaves_nothing) {
  const Sample sample;
  const std::string before = read_text(sample.path);
  CHECK_THROWS_CODE(write_engine_file(sample.path / "an.engine", sample_info(), bytes_of(kPlan)), ErrorCode::backend,
                    "the engine file could not be written");
  CHECK(read_text(sample.path) == before && files_in(sample.folder.path()) == 1);
}

}  // namespace cardiacseg::tensorrt
