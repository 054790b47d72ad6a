#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <string>

#include "bundle/manifest.h"
#include "expect_error.h"
#include "manifest_text.h"

namespace cardiacseg {
namespace {

using test::manifest_text;
using test::replaced;

ManifestDocument parsed(const std::string& text) { return parse_manifest(text, "dir/manifest.json"); }

/// The sound manifest with `from` replaced by `to` is refused, naming the file and `text`.
void check_refused(const std::string& from, const std::string& to, const std::string& text) {
  const std::string damaged = replaced(manifest_text(), from, to);
  EXPECT_ERROR(parsed(damaged), ErrorCode::bad_bundle, text);
  EXPECT_ERROR(parsed(damaged), ErrorCode::bad_bundle, "dir/manifest.json: ");
}

}  // namespace

TEST(Manifest, ReadsAllValues) {
  const ManifestDocument document = parsed(manifest_text());
  const Manifest& manifest = document.manifest;
  EXPECT_EQ(manifest.name, "tiny");
  EXPECT_EQ(manifest.version, "0.1.0");
  EXPECT_EQ(manifest.spacing_mm, 1.5);
  EXPECT_EQ(manifest.crop_pixels, 144);
  EXPECT_EQ(manifest.percentiles[0], 1);
  EXPECT_EQ(manifest.percentiles[1], 99);
  EXPECT_EQ(manifest.presence_threshold, 0.5F);
  EXPECT_TRUE(manifest.locate->spacing_mm == 4 && manifest.locate->size_multiple == 8 &&
              manifest.locate->threshold == 0.25F);
  EXPECT_EQ(document.networks.seg, "seg.onnx");
  EXPECT_EQ(document.networks.ref, "ref.onnx");
  EXPECT_EQ(document.networks.locate, "nets/locate.onnx");
  EXPECT_EQ(document.files.size(), 4U);
}

/// The sound manifest with more keys.
std::string with(const std::string& keys) {
  return replaced(manifest_text(), "\"presence_threshold\"", keys + ", \"presence_threshold\"");
}

TEST(Manifest, ConfidenceAndCleanUpMayBeAbsent) {
  const Manifest plain = parsed(manifest_text()).manifest;
  EXPECT_EQ(plain.temperature, 1);
  EXPECT_FALSE(plain.quality);
  EXPECT_FALSE(plain.clean_up);
  const Manifest full =
      parsed(with(R"("temperature": 1.25, "quality": {"intercept": -0.5, "slope": 2}, "clean_up": true)")).manifest;
  EXPECT_EQ(full.temperature, 1.25F);
  EXPECT_TRUE(full.clean_up);
  EXPECT_TRUE(full.quality->intercept == -0.5 && full.quality->slope == 2);
  EXPECT_EQ(parsed(with("\"temperature\": 100")).manifest.temperature, 100);
  EXPECT_FALSE(parsed(with("\"clean_up\": false")).manifest.clean_up);
}

TEST(Manifest, OnlyAPassedGateAllowsBf16) {
  EXPECT_FALSE(parsed(manifest_text()).manifest.keeps_labels_in_bfloat16);
  EXPECT_TRUE(
      parsed(with(R"("precisions": {"bf16": {"passed": true, "stages": []}})")).manifest.keeps_labels_in_bfloat16);
  for (const char* record : {R"({"bf16": {"passed": false}})", "{}", R"({"fp16": {"passed": true}})"}) {
    EXPECT_FALSE(parsed(with("\"precisions\": " + std::string(record))).manifest.keeps_labels_in_bfloat16);
  }
}

TEST(Manifest, ReadsFloat32LayersByStage) {
  EXPECT_TRUE(parsed(manifest_text()).manifest.float32_in_bfloat16.empty());
  const Float32Stages stages = parsed(with(R"("precisions": {"bf16": {"passed": true, "float32": {
      "locate": {"everything": true, "first_layers": 0, "last_layers": 0, "other_operations": false},
      "ref": {"everything": false, "first_layers": 8, "last_layers": 7, "other_operations": true}}}})"))
                                   .manifest.float32_in_bfloat16;
  const Float32Stages expected{{"locate", {.everything = true}},
                               {"ref", {.first = 8, .last = 7, .other_operations = true}}};
  EXPECT_EQ(stages, expected);
}

TEST(Manifest, RecordsOfPrecisionsAreChecked) {
  const auto refuses = [](const std::string& record, const std::string& text) {
    EXPECT_ERROR(parsed(with("\"precisions\": " + record)), ErrorCode::bad_bundle, text);
  };
  refuses("1", "\"precisions\"");
  refuses(R"({"bf16": true})", "\"bf16\"");
  refuses(R"({"bf16": {}})", "\"passed\"");
  refuses(R"({"bf16": {"passed": true, "float32": []}})", "\"float32\"");
  refuses(R"({"bf16": {"passed": true, "float32": {"seg": {"everything": false}}}})", "\"first_layers\"");
  refuses(R"({"bf16": {"passed": true, "float32": {"seg": {"everything": false, "first_layers": -1}}}})",
          "a number of layers from 0 to 10000");
  for (const char* value : {"1", "\"yes\"", "null"}) {
    refuses(R"({"bf16": {"passed": )" + std::string(value) + "}}", "\"passed\": expected true or false, got");
  }
}

TEST(Manifest, ConfidenceAndCleanUpAreChecked) {
  const auto refuses = [](const std::string& keys, const std::string& text) {
    EXPECT_ERROR(parsed(with(keys)), ErrorCode::bad_bundle, "dir/manifest.json: " + text);
  };
  for (const std::string value : {"0", "-1", "100.5", "1e300", "1e-60", "null", "true", "\"1\"", "[1]", "{}"}) {
    refuses("\"temperature\": " + value, "\"temperature\": expected a number above 0 and at most 100, got ");
  }
  for (const std::string value : {"null", "0", "1", "\"true\"", "[]", "{}"}) {
    refuses("\"clean_up\": " + value, "\"clean_up\": expected true or false, got " + value);
  }
  for (const std::string value : {"null", "1", "[0, 1]", "\"line\""}) {
    refuses("\"quality\": " + value, "\"quality\": expected an object, got ");
  }
  refuses(R"("quality": {"intercept": 1})",
          "\"quality\": \"slope\": expected a number from -1000 to 1000, got nothing");
  refuses(R"("quality": {"slope": 1})", "\"quality\": \"intercept\": expected a number");
  for (const std::string value : {"null", "true", "\"1\"", "1001", "-1e300"}) {
    refuses("\"quality\": {\"intercept\": 0, \"slope\": " + value + "}", "\"quality\": \"slope\": expected a number");
  }
}

TEST(Manifest, LocateAndRefMayBeAbsent) {
  std::string text = replaced(manifest_text(), R"("locate": "nets/locate.onnx", "seg": "seg.onnx", "ref": "ref.onnx")",
                              R"("seg": "seg.onnx")");
  EXPECT_ERROR(parsed(text), ErrorCode::bad_bundle, "got it under one");
  text = replaced(text, R"("locate": {"spacing_mm": 4.0, "size_multiple": 8, "threshold": 0.25})", R"("unknown": 1)");
  const ManifestDocument document = parsed(text);
  EXPECT_FALSE(document.manifest.locate);
  EXPECT_FALSE(document.networks.locate);
  EXPECT_FALSE(document.networks.ref);
}

TEST(Manifest, Format2SaysHowANetworkSeesWindows) {
  std::string text = replaced(manifest_text(), "\"format_version\": 1", "\"format_version\": 2");
  text = replaced(text, R"("spacing_mm": 1.5, "crop_pixels": 144, "percentiles": [1.0, 99.0],)",
                  R"("spacing_mm": [1.5, 1.25], "normalization": "z_score", "window_pixels": [256, 224],
                     "image_order": 3, "logits_order": 1,)");
  EXPECT_ERROR(parsed(text), ErrorCode::bad_bundle, "\"networks\": expected only \"seg\" in format 2");
  text =
      replaced(text, R"("locate": "nets/locate.onnx", "seg": "seg.onnx", "ref": "ref.onnx")", R"("seg": "seg.onnx")");
  const Manifest manifest = parsed(text).manifest;
  ASSERT_TRUE(manifest.windows);
  EXPECT_EQ(manifest.windows->spacing_mm, (std::array{1.5, 1.25}));
  EXPECT_EQ(manifest.windows->size, (std::array<std::int64_t, 2>{256, 224}));
  EXPECT_FALSE(manifest.windows->nonzero_mask);
  EXPECT_EQ(manifest.windows->image_order, 3);
  EXPECT_EQ(manifest.windows->logits_order, 1);
  EXPECT_TRUE(parsed(replaced(text, "\"z_score\"", "\"z_score_nonzero\"")).manifest.windows->nonzero_mask);
  const auto refuses = [&text](const std::string& from, const std::string& to, const std::string& message) {
    EXPECT_ERROR(parsed(replaced(text, from, to)), ErrorCode::bad_bundle, message);
  };
  refuses("[1.5, 1.25]", "1.5", "\"spacing_mm\": expected two numbers of mm, rows and columns, above 0 and at most 20");
  refuses("[1.5, 1.25]", "[1.5, 0]", "at most 20, got [1.5,0]");
  refuses("[256, 224]", "[256]", "\"window_pixels\": expected two numbers of pixels, rows and columns, got [256]");
  refuses("[256, 224]", "[256, 4]", "a number of pixels from 8 to 2048");
  refuses("\"z_score\"", "\"min_max\"", "expected \"z_score\" or \"z_score_nonzero\", got \"min_max\"");
  refuses("\"image_order\": 3", "\"image_order\": 2", "\"image_order\": expected 1, linear, or 3, a cubic spline");
  refuses("\"format_version\": 2", "\"format_version\": 1", "\"spacing_mm\": expected a number of mm");
}

TEST(Manifest, OtherFormatVersionsAreRefused) {
  check_refused(R"("format_version": 1, )", "",
                "\"format_version\": expected 1 or 2, the formats that this library reads, got nothing");
  check_refused("\"format_version\": 1", "\"format_version\": 3", "got 3");
  check_refused("\"format_version\": 1", "\"format_version\": 0", "got 0");
  check_refused("\"format_version\": 1", "\"format_version\": 1.0", "got 1.0");
  check_refused("\"format_version\": 1", "\"format_version\": \"1\"", "got \"1\"");
  check_refused("\"format_version\": 1", "\"format_version\": true", "got true");
  check_refused("\"format_version\": 1", "\"format_version\": 18446744073709551615", "got 18446744073709551615");
}

TEST(Manifest, ErrorNamesEveryMissingKey) {
  for (const std::string key : {"name", "version", "model", "licence", "intended_use", "labels", "preprocessing",
                                "spacing_mm", "crop_pixels", "percentiles", "size_multiple", "threshold",
                                "presence_threshold", "networks", "seg", "files", "sha256", "bytes"}) {
    check_refused("\"" + key + "\":", "\"other\":", "\"");
    const std::string damaged = replaced(manifest_text(), "\"" + key + "\":", "\"other\":");
    EXPECT_ERROR(parsed(damaged), ErrorCode::bad_bundle, key == "seg" ? "\"other\"" : "\"" + key + "\"");
  }
}

TEST(Manifest, WrongTypesAreRefused) {
  for (const std::string key : {"name",
                                "version",
                                "model",
                                "licence",
                                "intended_use",
                                "labels",
                                "preprocessing",
                                "spacing_mm",
                                "crop_pixels",
                                "percentiles",
                                "size_multiple",
                                "threshold",
                                "presence_threshold",
                                "networks",
                                "seg",
                                "ref",
                                "files",
                                "sha256",
                                "bytes",
                                "training",
                                "accuracy"}) {
    for (const std::string value : {"null", "true", "[]", "[[[1]]]", "\"\"", "-1"}) {
      check_refused("\"" + key + "\":", "\"" + key + "\": " + value + ", \"rest of " + key + "\":", "\"" + key + "\"");
    }
  }
}

TEST(Manifest, NumbersHaveLimits) {
  for (const char* value : {"0", "-1.5", "20.1", "1e300"})
    check_refused("1.5, \"crop", std::string(value) + ", \"crop", "spacing_mm");
  for (const char* value : {"0", "-16", "100", "1040", "144.0", "9223372036854775807"}) {
    check_refused("144", value, "a multiple of 16 from 16 to 1024");
  }
  for (const char* value : {"[1, 1]", "[99, 1]", "[-1, 99]", "[1, 101]", "[1]", "[1, 2, 3]", "[1, \"99\"]"}) {
    check_refused("[1.0, 99.0]", value, "0 <= lower < upper <= 100");
  }
  for (const char* value : {"0", "1", "1.5", "-0.5", "1e-60", "0.99999999999"}) {
    check_refused("\"threshold\": 0.25", std::string("\"threshold\": ") + value, "above 0 and below 1");
    check_refused("_threshold\": 0.5", std::string("_threshold\": ") + value, "above 0 and below 1");
  }
  for (const char* value : {"0", "-8", "2000", "8.0"})
    check_refused("multiple\": 8", std::string("multiple\": ") + value, "size_multiple");
  for (const char* value : {"-1", "1.5", "99999999999"})
    check_refused("\"bytes\": 11", std::string("\"bytes\": ") + value, "seg.onnx");
}

TEST(Manifest, LabelsMustBeTheFourKnownOnes) {
  check_refused("\"rv\": 1", "\"rv\": 3", "\"labels\"");
  check_refused("\"rv\": 1", "\"rv\": 1.0", "\"labels\"");
  check_refused("\"rv\": 1, ", "", "\"labels\"");
  check_refused("\"rv\": 1", "\"rv\": 1, \"la\": 4", "\"labels\"");
}

TEST(Manifest, PathsOutOfTheFolderAreRefused) {
  for (const std::string name : {"/seg.onnx", "../seg.onnx", "a/../../seg.onnx", "a//seg.onnx", "./seg.onnx", "..", "",
                                 "a/", "a\\\\seg.onnx", "C:seg.onnx", "seg\\u0000.onnx", "seg\\n.onnx"}) {
    check_refused("\"MODEL_CARD.md\"", "\"" + name + "\"", "names of files inside the bundle's folder");
  }
}

TEST(Manifest, NetworksMustBeListedAndKnown) {
  check_refused("\"seg\": \"seg.onnx\"", "\"seg\": \"other.onnx\"", "listed under \"files\", got \"other.onnx\"");
  check_refused("\"seg\": \"seg.onnx\"", "\"seg\": \"../seg.onnx\"", "listed under \"files\"");
  check_refused("\"ref\": \"ref.onnx\"", "\"third\": \"ref.onnx\"", "\"third\"");
}

TEST(Manifest, DigestsAre64LowerCaseDigits) {
  check_refused("\"sha256\": \"", "\"sha256\": \"0", "64 lower-case hexadecimal digits");
  check_refused("\"sha256\": \"", "\"sha256\": \"ABC", "64 lower-case");
}

TEST(Manifest, InvalidJsonIsRefused) {
  for (const std::string text : {"", " ", "{", "nonsense", "[1, 2", "{\"a\": 1e999}", "{\"a\": \"\xff\xfe\"}",
                                 "\xef\xbb", "{\"a\": \"\xc0\x80\"}", "{} {}", "{\"a\": NaN}"}) {
    EXPECT_ERROR(parsed(text), ErrorCode::bad_bundle, "dir/manifest.json: expected JSON");
  }
  for (const std::string text : {"[]", "1", "null", "\"text\""}) {
    EXPECT_ERROR(parsed(text), ErrorCode::bad_bundle, "expected an object");
  }
}

TEST(Manifest, DepthAndLengthAreLimited) {
  for (const std::string open : {"[", "{\"a\":"}) {
    std::string deep;
    while (deep.size() < 500000) deep += open;
    EXPECT_ERROR(parsed(deep), ErrorCode::bad_bundle, "at most 32 levels");
  }
  EXPECT_ERROR(parsed(std::string(kManifestLimit + 1, ' ')), ErrorCode::bad_bundle, "at most 1048576 bytes");
}

TEST(Manifest, ErrorSentencesAreShortAndPrintable) {
  const std::string text =
      replaced(manifest_text(), "\"tiny\"", "[\"" + std::string(100000, 'x') + "\\u0007\xc3\xa9\"]");
  try {
    parsed(text);
    ADD_FAILURE() << "expected an error";
  } catch (const Error& error) {
    const std::string sentence = error.what();
    EXPECT_LT(sentence.size(), 200);
    for (const char c : sentence) {
      EXPECT_GE(c, ' ');
      EXPECT_LE(c, '~');
    }
  }
}

/// Changes, drops, doubles or inserts a few bytes.
std::string mutated(std::string text, std::mt19937& random) {
  const std::string pieces = "{}[]\",:0123456789eE.-+tfn\\u \xff\xc3\x00";
  for (std::uint32_t change = 0; change <= random() % 4; ++change) {
    const std::size_t at = random() % text.size();
    switch (random() % 4) {
      case 0:
        text[at] = static_cast<char>(random() % 256);
        break;
      case 1:
        text.erase(at, 1 + random() % 20);
        break;
      case 2:
        text.insert(at, text.substr(random() % text.size(), random() % 40));
        break;
      default:
        text[at] = pieces[random() % pieces.size()];
    }
    if (text.empty()) text.push_back('{');
  }
  return text;
}

TEST(Manifest, MutationsGiveAManifestOrBadBundle) {
  std::mt19937 random(20240917);
  int sound = 0;
  int refused = 0;
  for (int round = 0; round < 20000; ++round) {
    try {
      parsed(mutated(manifest_text(), random));
      ++sound;
    } catch (const Error& error) {
      if (error.code() == ErrorCode::bad_bundle) ++refused;
    }
  }
  EXPECT_EQ(sound + refused, 20000);
  EXPECT_GT(sound, 100);
  EXPECT_GT(refused, 10000);
}

}  // namespace cardiacseg
