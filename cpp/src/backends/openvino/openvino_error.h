#pragma once

#include <algorithm>
#include <exception>
#include <string>

#include "cardiacseg/error.h"

namespace cardiacseg {

/// The result of `action`; what it throws becomes Error(backend), in one line that starts with `what`.
template <class Action>
auto translate_errors(const std::string& what, Action&& action) {
  try {
    return action();
  } catch (const std::exception& error) {
    std::string message = what + ": " + error.what();
    message.erase(message.find_last_not_of(" \n") + 1);
    std::replace(message.begin(), message.end(), '\n', ' ');
    throw Error(ErrorCode::backend, message);
  }
}

}  // namespace cardiacseg
