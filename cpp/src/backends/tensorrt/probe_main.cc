// cardiacseg_probe FLAVOR PROVIDER [LIBRARY]...: opens libraries in this order, then the TensorRT of a provider
// library, and prints `version` and its version, or `missing` and a sentence. A library that ends this program while it
// is opened would have ended the one that asks.

#include <dlfcn.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "backends/tensorrt/provider_library.h"
#include "cardiacseg/error.h"

namespace {

/// Ends without the destructors of the opened libraries.
[[noreturn]] void end(int code, const std::string& words) {
  std::fputs((words + "\n").c_str(), stdout);
  std::fflush(stdout);
  _exit(code);
}

}  // namespace

int main(int count, char** words) {
  if (count < 3) end(2, "usage: cardiacseg_probe FLAVOR PROVIDER [LIBRARY]...");
  for (int index = 3; index < count; ++index) static_cast<void>(dlopen(words[index], RTLD_NOW | RTLD_LOCAL));
  try {
    end(0, "version " + cardiacseg::tensorrt::open_provider(words[2], words[1]).library_version());
  } catch (const cardiacseg::Error& error) {
    end(1, std::string("missing ") + error.what());
  }
}
