#include "bundle/manifest.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "cardiacseg/error.h"
#include "files/json_section.h"

namespace cardiacseg {
namespace {

using nlohmann::json;

constexpr NumberRule kSpacing{"a number of mm above 0 and at most 20", [](double mm) { return mm > 0 && mm <= 20; }};
constexpr NumberRule kThreshold{"a number above 0 and below 1", [](double value) {
                                  const auto rounded = static_cast<float>(std::clamp(value, 0.0, 1.0));
                                  return rounded > 0 && rounded < 1;
                                }};
constexpr NumberRule kTemperature{"a number above 0 and at most 100", [](double value) {
                                    return value <= 100 && static_cast<float>(std::max(value, 0.0)) > 0;
                                  }};
constexpr NumberRule kCoefficient{"a number from -1000 to 1000", [](double value) { return std::abs(value) <= 1000; }};
constexpr NumberRule kCropPixels{"a multiple of 16 from 16 to 1024", [](double pixels) {
                                   return pixels >= 16 && pixels <= 1024 && std::fmod(pixels, 16) == 0;
                                 }};
constexpr NumberRule kSizeMultiple{"an integer from 1 to 1024",
                                   [](double pixels) { return pixels >= 1 && pixels <= 1024; }};
constexpr NumberRule kWindowPixels{"a number of pixels from 8 to 2048",
                                   [](double pixels) { return pixels >= 8 && pixels <= 2048; }};
constexpr NumberRule kOrder{"1, linear, or 3, a cubic spline", [](double order) { return order == 1 || order == 3; }};
constexpr NumberRule kLayers{"a number of layers from 0 to 10000",
                             [](double layers) { return layers >= 0 && layers <= 10000; }};
constexpr NumberRule kBytes{"a number of bytes up to 512 MiB (536870912)",
                            [](double bytes) { return bytes >= 0 && bytes <= static_cast<double>(kBundleLimit); }};

/// The format of the manifest. In format 2, a network sees windows.
int read_format(const Section& root) {
  static_assert(kBundleFormatVersion == 2);
  const std::string expected = "1 or 2, the formats that this library reads";
  const json& version = root.at("format_version", expected);
  if (!version.is_number_integer() || (version != 1 && version != 2)) {
    root.refuse_value("format_version", expected, version);
  }
  return version.get<int>();
}

void require_labels(const Section& root) {
  const json expected = {{"background", 0}, {"rv", 1}, {"myo", 2}, {"lv", 3}};
  const json& labels = root.at("labels", expected.dump());
  const bool integers = std::all_of(labels.begin(), labels.end(), [](const json& v) { return v.is_number_integer(); });
  if (labels != expected || !integers) root.refuse_value("labels", expected.dump(), labels);
}

/// Required keys that the runtime does not use.
void require_description(const Section& root) {
  for (const char* key : {"model", "licence", "intended_use"}) root.text(key);
  for (const char* key : {"training", "accuracy"}) {
    if (root.has(key)) root.section(key);
  }
}

std::array<double, 2> read_percentiles(const Section& preprocessing) {
  const std::string expected = "two numbers, 0 <= lower < upper <= 100";
  const json& pair = preprocessing.at("percentiles", expected);
  const bool numbers = pair.is_array() && pair.size() == 2 && pair[0].is_number() && pair[1].is_number();
  if (!numbers) preprocessing.refuse_value("percentiles", expected, pair);
  const std::array<double, 2> values{pair[0].get<double>(), pair[1].get<double>()};
  if (!(0 <= values[0] && values[0] < values[1] && values[1] <= 100)) {
    preprocessing.refuse_value("percentiles", expected, pair);
  }
  return values;
}

std::array<double, 2> read_spacings(const Section& preprocessing) {
  const std::string expected = "two numbers of mm, rows and columns, above 0 and at most 20";
  const json& pair = preprocessing.at("spacing_mm", expected);
  const auto fits = [](const json& value) { return value.is_number() && kSpacing.fits(value.get<double>()); };
  if (!pair.is_array() || pair.size() != 2 || !std::all_of(pair.begin(), pair.end(), fits)) {
    preprocessing.refuse_value("spacing_mm", expected, pair);
  }
  return {pair[0].get<double>(), pair[1].get<double>()};
}

WindowRules read_windows(const Section& preprocessing) {
  const std::vector<std::int64_t> size = preprocessing.integers("window_pixels", kWindowPixels);
  if (size.size() != 2) {
    preprocessing.refuse_value("window_pixels", "two numbers of pixels, rows and columns", size);
  }
  const std::string normalization = preprocessing.text("normalization");
  if (normalization != "z_score" && normalization != "z_score_nonzero") {
    preprocessing.refuse_value("normalization", "\"z_score\" or \"z_score_nonzero\"", normalization);
  }
  return {.spacing_mm = read_spacings(preprocessing),
          .size = {size[0], size[1]},
          .nonzero_mask = normalization == "z_score_nonzero",
          .image_order = static_cast<int>(preprocessing.integer("image_order", kOrder)),
          .logits_order = static_cast<int>(preprocessing.integer("logits_order", kOrder))};
}

Float32Stages read_float32(const Section& record) {
  Float32Stages stages;
  if (!record.has("float32")) return stages;
  const Section float32 = record.section("float32");
  for (const char* stage : {"locate", "seg", "ref"}) {
    if (!float32.has(stage)) continue;
    const Section layers = float32.section(stage);
    stages[stage] = {layers.flag("everything"), layers.integer("first_layers", kLayers),
                     layers.integer("last_layers", kLayers), layers.flag("other_operations")};
  }
  return stages;
}

/// `"precisions": {"bf16": {"passed": true, "float32": {...}, ...}}`; other keys of the record are for readers.
void read_bfloat16_record(const Section& root, Manifest& manifest) {
  if (!root.has("precisions")) return;
  const Section precisions = root.section("precisions");
  if (!precisions.has("bf16")) return;
  const Section record = precisions.section("bf16");
  manifest.keeps_labels_in_bfloat16 = record.flag("passed");
  manifest.float32_in_bfloat16 = read_float32(record);
}

/// How networks see a crop, or the windows of format 2.
void read_preprocessing(const Section& preprocessing, int format, Manifest& manifest) {
  if (format == 2) {
    manifest.windows = read_windows(preprocessing);
    return;
  }
  manifest.spacing_mm = preprocessing.number("spacing_mm", kSpacing);
  manifest.crop_pixels = preprocessing.integer("crop_pixels", kCropPixels);
  manifest.percentiles = read_percentiles(preprocessing);
  if (!preprocessing.has("locate")) return;
  const Section locate = preprocessing.section("locate");
  manifest.locate = LocateRules{locate.number("spacing_mm", kSpacing), locate.integer("size_multiple", kSizeMultiple),
                                static_cast<float>(locate.number("threshold", kThreshold))};
}

Manifest read_rules(const Section& root, int format) {
  Manifest manifest{};
  manifest.name = root.text("name");
  manifest.version = root.text("version");
  read_preprocessing(root.section("preprocessing"), format, manifest);
  manifest.presence_threshold = static_cast<float>(root.number("presence_threshold", kThreshold));
  manifest.temperature = root.has("temperature") ? static_cast<float>(root.number("temperature", kTemperature)) : 1.0F;
  manifest.clean_up = root.has("clean_up") && root.flag("clean_up");
  if (root.has("quality")) {
    const Section quality = root.section("quality");
    manifest.quality = QualityRule{quality.number("intercept", kCoefficient), quality.number("slope", kCoefficient)};
  }
  read_bfloat16_record(root, manifest);
  return manifest;
}

/// Whether `name` is a relative path, with `/` between its parts, that stays in its folder (links aside).
bool is_plain_path(std::string_view name) {
  const auto forbidden = [](char c) { return c == '\\' || c == ':' || (c >= 0 && c < ' ') || c == 0x7f; };
  if (std::any_of(name.begin(), name.end(), forbidden)) return false;
  while (true) {
    const std::size_t slash = name.find('/');
    const std::string_view part = name.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return false;
    if (slash == std::string_view::npos) return true;
    name.remove_prefix(slash + 1);
  }
}

std::vector<ListedFile> read_files(const Section& root) {
  const Section files = root.section("files");
  std::vector<ListedFile> listed;
  std::uint64_t total = 0;
  for (const auto& [name, entry] : files.object().items()) {
    if (!is_plain_path(name)) root.refuse_value("files", "names of files inside the bundle's folder", name);
    const Section file = files.section(name);
    listed.push_back({name, file.digest("sha256"), static_cast<std::uint64_t>(file.integer("bytes", kBytes))});
    total += listed.back().bytes;
  }
  if (total > kBundleLimit) root.refuse_value("files", "at most 512 MiB (536870912 bytes) in all", total);
  return listed;
}

std::string read_network(const Section& networks, const char* key, const std::vector<ListedFile>& files) {
  std::string name = networks.text(key);
  const bool listed =
      std::any_of(files.begin(), files.end(), [&](const ListedFile& file) { return file.name == name; });
  if (!listed) networks.refuse_value(key, "a name that is listed under \"files\"", name);
  return name;
}

NetworkFiles read_networks(const Section& root, bool windows, const std::vector<ListedFile>& files) {
  const Section networks = root.section("networks");
  for (const auto& [key, value] : networks.object().items()) {
    if (windows && key != "seg") root.refuse_value("networks", "only \"seg\" in format 2", key);
    if (key != "locate" && key != "seg" && key != "ref") {
      root.refuse_value("networks", "only \"locate\", \"seg\" and \"ref\"", key);
    }
  }
  NetworkFiles read;
  read.seg = read_network(networks, "seg", files);
  if (networks.has("locate")) read.locate = read_network(networks, "locate", files);
  if (networks.has("ref")) read.ref = read_network(networks, "ref", files);
  return read;
}

}  // namespace

ManifestDocument parse_manifest(std::string_view text, const std::string& where) {
  const json document = parse_json(text, where, kManifestLimit, ErrorCode::bad_bundle);
  const Section root(document, where, ErrorCode::bad_bundle);
  const int format = read_format(root);
  require_labels(root);
  require_description(root);
  ManifestDocument read;
  read.manifest = read_rules(root, format);
  read.files = read_files(root);
  read.networks = read_networks(root, format == 2, read.files);
  if (read.manifest.locate.has_value() != read.networks.locate.has_value()) {
    throw Error(ErrorCode::bad_bundle, where +
                                           ": expected \"locate\" under both \"preprocessing\" and \"networks\" or " +
                                           "under neither, got it under one of them");
  }
  return read;
}

}  // namespace cardiacseg
