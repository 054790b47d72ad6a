// A child process opens TensorRT first, because some versions end the process that opens them: 8.5.3 does after
// OpenVINO with the C library of Ubuntu 24.04. The child is a program of its own, not a fork: this process has threads.

#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "backends/tensorrt/provider_library.h"
#include "cardiacseg/error.h"

namespace cardiacseg::tensorrt {
namespace {

namespace fs = std::filesystem;

constexpr const char* kProgram = "cardiacseg_probe";
constexpr int kPatience = 120'000;  // milliseconds: libraries of a gigabyte may come over a network

std::string stem_of(const std::string& flavor) {
  return flavor == "tensorrt_rtx" ? "libtensorrt_rtx.so" : "libnvinfer.so";
}

/// Libraries that this process has loaded whose names start with one of `names`, in the order of loading.
std::vector<std::string> loaded_libraries(const std::vector<std::string>& names) {
  std::pair<const std::vector<std::string>&, std::vector<std::string>> search{names, {}};
  const auto look_at = [](dl_phdr_info* info, std::size_t, void* data) {
    auto& [requested, found] = *static_cast<decltype(search)*>(data);
    const std::string name = fs::path(info->dlpi_name).filename();
    for (const std::string& one : requested) {
      if (name.starts_with(one)) found.emplace_back(info->dlpi_name);
    }
    return 0;
  };
  dl_iterate_phdr(look_at, &search);
  return search.second;
}

/// A pipe whose ends no other child inherits.
struct Pipe {
  Pipe() {
    if (pipe2(ends.data(), O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    close_end(0);
    close_end(1);
  }
  void close_end(std::size_t end) {
    if (ends[end] >= 0) close(ends[end]);
    ends[end] = -1;
  }
  std::array<int, 2> ends{-1, -1};
};

pid_t spawn(const std::vector<std::string>& command, const Pipe& output) {
  std::vector<char*> words;
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));  // not written to
  words.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, output.ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t child = 0;
  const int failure = posix_spawn(&child, words[0], &actions, nullptr, words.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failure != 0) throw std::system_error(failure, std::generic_category(), "posix_spawn");
  return child;
}

/// What the child prints; false if it prints nothing for too long.
bool read_all(int from, std::string& text) {
  std::array<char, 512> part{};
  for (;;) {
    pollfd waited{from, POLLIN, 0};
    const int ready = poll(&waited, 1, kPatience);
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return false;
    const ssize_t count = read(from, part.data(), part.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return true;
    text.append(part.data(), static_cast<std::size_t>(count));
  }
}

/// How the child ended, in words.
std::string wait_for(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return "early";  // the process ignores its children's ends
  }
  if (WIFEXITED(status)) return "with exit code " + std::to_string(WEXITSTATUS(status));
  return "by signal " + std::to_string(WTERMSIG(status)) + " (" + strsignal(WTERMSIG(status)) + ")";
}

[[noreturn]] void refuse_crash(const std::string& flavor, const std::string& how) {
  const std::string library = stem_of(flavor);
  throw Error(ErrorCode::backend, "opening " + library + " ended the process that tried it " + how +
                                      ", as some versions do after OpenVINO; open it first, with LD_PRELOAD=/path/to/" +
                                      library + " or by importing its Python module before cardiacseg");
}

/// The version of TensorRT that the child opened. Throws std::system_error too.
std::string ask_child(const std::string& flavor, const fs::path& library) {
  std::vector<std::string> command{library.parent_path() / kProgram, flavor, library};
  for (const std::string& name : loaded_libraries({"libtbb", "libopenvino"})) command.push_back(name);
  Pipe output;
  const pid_t child = spawn(command, output);
  output.close_end(1);
  std::string words;
  const bool ended = read_all(output.ends[0], words);
  if (!ended) kill(child, SIGKILL);
  const std::string how = wait_for(child);
  if (!ended) throw Error(ErrorCode::backend, "opening " + stem_of(flavor) + " did not end within two minutes");
  const auto after = [&](std::string_view start) {
    return words.substr(start.size(), words.size() - start.size() - 1);
  };
  if (words.ends_with('\n') && words.starts_with("version ")) return after("version ");
  if (words.ends_with('\n') && words.starts_with("missing ")) throw Error(ErrorCode::backend, after("missing "));
  refuse_crash(flavor, how);
}

struct Known {
  std::mutex mutex;
  std::map<std::string, std::string> versions;  ///< by flavor, of what a child has opened
  std::set<std::string> opened;                 ///< flavors that this process has opened
};

Known& known() {
  static Known instance;
  return instance;
}

/// Whether TensorRT is in this process already, whoever has opened it.
bool is_open(const std::string& flavor) {
  return known().opened.contains(flavor) || !loaded_libraries({stem_of(flavor)}).empty();
}

}  // namespace

std::string library_version(const std::string& flavor) {
  const Provider& found = provider(flavor);
  const std::lock_guard lock(known().mutex);
  if (is_open(flavor)) return found.library_version();
  std::string& version = known().versions[flavor];
  try {
    if (version.empty()) version = ask_child(flavor, provider_path(flavor));
  } catch (const std::system_error& error) {
    throw Error(ErrorCode::backend, "expected the program " + std::string(kProgram) +
                                        " beside the provider to try TensorRT, got: " + error.what());
  }
  return version;
}

const Provider& opened_provider(const std::string& flavor) {
  library_version(flavor);
  const Provider& found = provider(flavor);
  found.library_version();
  const std::lock_guard lock(known().mutex);
  known().opened.insert(flavor);
  return found;
}

}  // namespace cardiacseg::tensorrt
