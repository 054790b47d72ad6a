#pragma once

#include <cmath>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "cardiacseg/error.h"

/// A test executable is one source file that includes this header, with TEST(name) { ... } for each case.
namespace cardiacseg::test {

struct Case {
  const char* name;
  void (*run)();
};

struct Tally {
  std::vector<Case> cases;
  int checks = 0;
  int failures = 0;
};

inline Tally& tally() {
  static Tally instance;
  return instance;
}

struct Registration {
  Registration(const char* name, void (*run)()) { tally().cases.push_back({name, run}); }
};

inline void report(bool passed, const std::string& what, const char* file, int line) {
  ++tally().checks;
  if (passed) return;
  ++tally().failures;
  std::cout << file << ":" << line << ": " << what << "\n";
}

/// Whether `error` is the library's own and has this code.
inline bool has_code(const std::exception& error, ErrorCode code) {
  const auto* typed = dynamic_cast<const Error*>(&error);
  return typed != nullptr && typed->code() == code;
}

inline bool mentions(const std::exception& error, const std::string& text) {
  return std::string(error.what()).find(text) != std::string::npos;
}

/// Runs one case; false where a check failed, an exception escaped or nothing was checked.
inline bool run_case(const Case& test) {
  tally().checks = tally().failures = 0;
  try {
    test.run();
  } catch (const std::exception& error) {
    report(false, std::string("escaped: ") + error.what(), test.name, 0);
  }
  if (tally().checks == 0) std::cout << test.name << ": nothing was checked\n";
  const bool passed = tally().failures == 0 && tally().checks > 0;
  if (!passed) std::cout << "FAILED " << test.name << "\n";
  return passed;
}

inline int run_all() {
  int passed = 0;
  int failed = 0;
  for (const Case& test : tally().cases) ++(run_case(test) ? passed : failed);
  std::cout << passed << " passed, " << failed << " failed\n";
  return passed > 0 && failed == 0 ? 0 : 1;
}

}  // namespace cardiacseg::test

#define TEST(name)                                                                 \
  static void name();                                                              \
  static const cardiacseg::test::Registration registration_of_##name{#name, name}; \
  static void name()

#define CHECK(condition) cardiacseg::test::report(static_cast<bool>(condition), #condition, __FILE__, __LINE__)

/// Also fails for a NaN.
#define CHECK_NEAR(value, wanted, tolerance)                                                                           \
  do {                                                                                                                 \
    const double value_ = static_cast<double>(value);                                                                  \
    const double wanted_ = static_cast<double>(wanted);                                                                \
    cardiacseg::test::report(std::abs(value_ - wanted_) <= (tolerance),                                                \
                             #value " is " + std::to_string(value_) + ", wanted " + std::to_string(wanted_), __FILE__, \
                             __LINE__);                                                                                \
  } while (false)

/// `caught` is an expression of `error`, the exception that `expression` must throw.
#define CHECK_THROWS_WHERE(expression, caught)                                                                  \
  do {                                                                                                          \
    try {                                                                                                       \
      static_cast<void>(expression);                                                                            \
      cardiacseg::test::report(false, #expression " threw nothing", __FILE__, __LINE__);                        \
    } catch (const std::exception& error) {                                                                     \
      cardiacseg::test::report(caught, std::string(#expression " threw: ") + error.what(), __FILE__, __LINE__); \
    }                                                                                                           \
  } while (false)

/// `expression` throws Error with `code` and a sentence that contains `text`.
#define CHECK_THROWS_CODE(expression, code, text) \
  CHECK_THROWS_WHERE(expression, cardiacseg::test::has_code(error, (code)) && cardiacseg::test::mentions(error, (text)))

/// `expression` throws a `Type` with a sentence that contains `text`.
#define CHECK_THROWS(expression, Type, text) \
  CHECK_THROWS_WHERE(expression,             \
                     dynamic_cast<const Type*>(&error) != nullptr && cardiacseg::test::mentions(error, (text)))

int main() { return cardiacseg::test::run_all(); }
