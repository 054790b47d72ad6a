#pragma once

#include <gtest/gtest.h>

#include <exception>
#include <string>
#include <typeinfo>

#include "cardiacseg/error.h"

namespace cardiacseg::test {

/// What `call` throws: success if `accepts(exception)`, and if its sentence contains `text`.
template <class Call, class Accepts>
testing::AssertionResult throws(const Call& call, const Accepts& accepts, const std::string& text) {
  try {
    call();
  } catch (const std::exception& error) {
    const std::string sentence = error.what();
    if (accepts(error) && sentence.find(text) != std::string::npos) return testing::AssertionSuccess();
    return testing::AssertionFailure() << "expected a sentence with \"" << text << "\", got " << typeid(error).name()
                                       << ": " << sentence;
  }
  return testing::AssertionFailure() << "expected a sentence with \"" << text << "\", got no exception";
}

template <class Type>
bool is_a(const std::exception& error) {
  return dynamic_cast<const Type*>(&error) != nullptr;
}

/// The library's own error with this code.
struct HasCode {
  ErrorCode code;
  bool operator()(const std::exception& error) const {
    const auto* typed = dynamic_cast<const Error*>(&error);
    return typed != nullptr && typed->code() == code;
  }
};

}  // namespace cardiacseg::test

/// `expression` throws a `Type` with a sentence that contains `text`.
#define EXPECT_THROW_MESSAGE(expression, Type, text) \
  EXPECT_TRUE(cardiacseg::test::throws([&] { static_cast<void>(expression); }, cardiacseg::test::is_a<Type>, text))

/// `expression` throws the library's Error with `code` and a sentence that contains `text`.
#define EXPECT_ERROR(expression, code, text) \
  EXPECT_TRUE(cardiacseg::test::throws([&] { static_cast<void>(expression); }, cardiacseg::test::HasCode{code}, text))
