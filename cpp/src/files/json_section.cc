#include "files/json_section.h"

#include <algorithm>

namespace cardiacseg {
namespace {

using nlohmann::json;

constexpr int kDepthLimit = 32;

bool is_hexadecimal(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

}  // namespace

std::string shown(const json& value) {
  constexpr std::size_t limit = 60;
  const std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
  return text.size() <= limit ? text : text.substr(0, limit) + "...";
}

json parse_json(std::string_view text, const std::string& where, std::size_t limit, ErrorCode code) {
  const auto refuse = [&where, code](const std::string& message) -> void {
    throw Error(code, where + ": expected " + message);
  };
  if (text.size() > limit) {
    refuse("at most " + std::to_string(limit) + " bytes, got " + std::to_string(text.size()));
  }
  const auto limit_depth = [&refuse](int depth, json::parse_event_t, json&) {
    if (depth > kDepthLimit) refuse("at most " + std::to_string(kDepthLimit) + " levels, got more");
    return true;
  };
  try {
    return json::parse(text, limit_depth);
  } catch (const json::parse_error& error) {
    refuse("JSON in UTF-8, got something else at byte " + std::to_string(error.byte));
  } catch (const json::exception&) {
    refuse("JSON with numbers that fit a double, got a larger one");
  }
  return {};
}

Section::Section(const json& object, std::string place, ErrorCode code)
    : object_(object), place_(std::move(place)), code_(code) {
  if (!object_.is_object()) refuse("expected an object", shown(object_));
}

std::vector<Section> Section::sections(const std::string& key) const {
  std::vector<Section> all;
  for (const json& entry : array(key, "a list of objects")) {
    all.emplace_back(entry, inside(key) + ": " + std::to_string(all.size()), code_);
  }
  return all;
}

std::string Section::text(const std::string& key) const {
  const json& value = at(key, "a text");
  if (!value.is_string() || value.get_ref<const std::string&>().empty()) {
    refuse_value(key, "a text that is not empty", value);
  }
  return value.get<std::string>();
}

std::string Section::digest(const std::string& key) const {
  std::string value = text(key);
  if (value.size() != 64 || !std::all_of(value.begin(), value.end(), is_hexadecimal)) {
    refuse_value(key, "64 lower-case hexadecimal digits", value);
  }
  return value;
}

std::vector<std::string> Section::texts(const std::string& key) const {
  const json& values = array(key, "a list of texts");
  for (const json& value : values) {
    if (!value.is_string()) refuse_value(key, "a list of texts", values);
  }
  return values.get<std::vector<std::string>>();
}

double Section::number(const std::string& key, const NumberRule& rule) const {
  const json& value = at(key, rule.expected);
  if (!value.is_number() || !rule.fits(value.get<double>())) refuse_value(key, rule.expected, value);
  return value.get<double>();
}

std::int64_t Section::integer(const std::string& key, const NumberRule& rule) const {
  const json& value = at(key, rule.expected);
  if (!value.is_number_integer() || !rule.fits(value.get<double>())) refuse_value(key, rule.expected, value);
  return value.get<std::int64_t>();
}

std::vector<std::int64_t> Section::integers(const std::string& key, const NumberRule& rule) const {
  const json& values = array(key, rule.expected);
  for (const json& value : values) {
    if (!value.is_number_integer() || !rule.fits(value.get<double>())) refuse_value(key, rule.expected, values);
  }
  return values.get<std::vector<std::int64_t>>();
}

bool Section::flag(const std::string& key) const {
  const json& value = at(key, "true or false");
  if (!value.is_boolean()) refuse_value(key, "true or false", value);
  return value.get<bool>();
}

const json& Section::at(const std::string& key, const std::string& expected) const {
  const auto found = object_.find(key);
  if (found == object_.end()) refuse(shown(key) + ": expected " + expected, "nothing");
  return *found;
}

const json& Section::array(const std::string& key, const std::string& expected) const {
  const json& values = at(key, expected);
  if (!values.is_array()) refuse_value(key, expected, values);
  return values;
}

void Section::refuse_value(const std::string& key, const std::string& expected, const json& value) const {
  refuse(shown(key) + ": expected " + expected, shown(value));
}

void Section::refuse(const std::string& expected, const std::string& got) const {
  throw Error(code_, place_ + ": " + expected + ", got " + got);
}

}  // namespace cardiacseg
