#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cardiacseg/error.h"

namespace cardiacseg {

/// What a number must be, in words and as a test.
struct NumberRule {
  const char* expected;
  bool (*fits)(double);
};

/// A value as JSON in ASCII, cut short if it is long.
std::string shown(const nlohmann::json& value);

/// `text` of the file `where` as JSON of a modest depth. Throws Error(code), and nothing else, for a text of more than
/// `limit` bytes or one that cannot be read.
nlohmann::json parse_json(std::string_view text, const std::string& where, std::size_t limit, ErrorCode code);

/// One object of a JSON file and its place, from which values are taken with a check. Throws Error(code), with the
/// place, what was expected and what was got. The object must outlive it.
class Section {
 public:
  Section(const nlohmann::json& object, std::string place, ErrorCode code);

  const nlohmann::json& object() const { return object_; }
  bool has(const char* key) const { return object_.contains(key); }
  Section section(const std::string& key) const { return {at(key, "an object"), inside(key), code_}; }
  std::vector<Section> sections(const std::string& key) const;

  std::string text(const std::string& key) const;  ///< not empty
  std::string digest(const std::string& key) const;
  std::vector<std::string> texts(const std::string& key) const;
  double number(const std::string& key, const NumberRule& rule) const;
  std::int64_t integer(const std::string& key, const NumberRule& rule) const;
  std::vector<std::int64_t> integers(const std::string& key, const NumberRule& rule) const;
  bool flag(const std::string& key) const;

  const nlohmann::json& at(const std::string& key, const std::string& expected) const;

  [[noreturn]] void refuse_value(const std::string& key, const std::string& expected,
                                 const nlohmann::json& value) const;

 private:
  std::string inside(const std::string& key) const { return place_ + ": " + shown(key); }
  const nlohmann::json& array(const std::string& key, const std::string& expected) const;

  [[noreturn]] void refuse(const std::string& expected, const std::string& got) const;

  const nlohmann::json& object_;
  std::string place_;
  ErrorCode code_;
};

}  // namespace cardiacseg
