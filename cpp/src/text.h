#pragma once

#include <locale>
#include <sstream>
#include <string>
#include <vector>

namespace cardiacseg {

/// A stream into a text: numbers are written in the same way whatever the global locale of the program.
class TextStream : public std::ostringstream {
 public:
  TextStream() { imbue(std::locale::classic()); }
};

/// What `parts` are as text, one after another; numbers with `digits` significant digits.
template <int digits, class... Parts>
std::string text_of(const Parts&... parts) {
  TextStream text;
  text.precision(digits);
  (text << ... << parts);
  return text.str();
}

inline std::string joined(const std::vector<std::string>& parts, const char* between) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : between) + part;
  return text;
}

}  // namespace cardiacseg
