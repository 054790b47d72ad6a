#include "backends/tensorrt/provider/logger.h"

#include <algorithm>
#include <exception>
#include <vector>

#include "cardiacseg/error.h"

namespace cardiacseg::tensorrt {
namespace {

constexpr std::size_t kKept = 32;      // lines
constexpr std::size_t kLongest = 600;  // characters of an error's words

/// The text in one line, truncated if it is long.
std::string shortened(std::string text) {
  std::replace_if(text.begin(), text.end(), [](char c) { return c == '\n' || c == '\r' || c == '\t'; }, ' ');
  if (text.size() > kLongest) text = text.substr(0, kLongest) + "...";
  while (!text.empty() && (text.back() == ' ' || text.back() == '.')) text.pop_back();
  return text;
}

/// The first error is the cause, the second its consequence. If there is no GPU, any of them is followed by one about
/// that.
std::string sentence(const std::vector<std::string>& lines) {
  const auto is_cause = [](const std::string& line) { return line.find("catchCudaError") == std::string::npos; };
  const bool any = std::any_of(lines.begin(), lines.end(), is_cause);
  std::string text;
  int taken = 0;
  for (const std::string& line : lines) {
    if (taken == 2 || (any && !is_cause(line)) || text.find(line) != std::string::npos) continue;
    text += (text.empty() ? "" : "; ") + line;
    ++taken;
  }
  return shortened(text);
}

}  // namespace

void Logger::log(Severity severity, const char* text) noexcept {
  if (severity <= Severity::kERROR && text != nullptr) keep(text, false);
}

void Logger::keep(const std::string& text, bool ours) noexcept try {
  const std::lock_guard lock(mutex_);
  lines_.push_back({++count_, std::this_thread::get_id(), ours, text});
  if (lines_.size() > kKept) lines_.pop_front();
} catch (const std::exception&) {  // out of memory: the words are lost, the failure is not
}

std::uint64_t Logger::count() const {
  const std::lock_guard lock(mutex_);
  return count_;
}

std::string Logger::since(std::uint64_t count) const {
  const std::lock_guard lock(mutex_);
  const auto rank = [](const Line& line) { return line.ours ? 2 : line.thread == std::this_thread::get_id() ? 1 : 0; };
  int highest = 0;
  std::vector<std::string> texts;
  for (const Line& line : lines_) {
    if (line.number <= count || rank(line) < highest) continue;
    if (rank(line) > highest) texts.clear();
    highest = rank(line);
    texts.push_back(line.text);
  }
  return sentence(texts);
}

Logger& logger() {
  static Logger& instance = *new Logger;
  return instance;
}

void Attempt::fail() const {
  const std::string words = logger().since(before_);
  throw Error(ErrorCode::backend,
              std::string(kProduct) + " " + what_ + ": " + (words.empty() ? "it gave no reason" : words));
}

}  // namespace cardiacseg::tensorrt
