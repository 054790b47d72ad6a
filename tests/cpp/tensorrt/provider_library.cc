#include "backends/tensorrt/provider_library.h"

#include <filesystem>
#include <string>

#include "check.h"
#include "temporary_folder.h"

namespace cardiacseg::tensorrt {
namespace {

using test::TemporaryFolder;
using test::Variable;

const std::filesystem::path kFake = std::filesystem::path(PROVIDERS) / "libcardiacseg_tensorrt.so";

}  // namespace

TEST(a_missing_library_is_named_with_the_folders) {
  const TemporaryFolder folder;
  const Variable providers("CARDIACSEG_PROVIDERS", folder.path().string());
  CHECK_THROWS_CODE(provider("tensorrt_rtx"), ErrorCode::backend,
                    "expected libcardiacseg_tensorrt_rtx.so in " + folder.path().string() + " or /");
  CHECK_THROWS_CODE(provider("tensorrt_rtx"), ErrorCode::backend, ", got none");
}

TEST(another_flavor_does_not_exist) {
  CHECK_THROWS_CODE(provider("rtx"), ErrorCode::invalid_input, "flavour must be tensorrt or tensorrt_rtx, got 'rtx'");
}

TEST(what_is_no_library_is_refused) {
  const TemporaryFolder folder;
  test::write_text(folder / "libcardiacseg_tensorrt.so", "text");
  const Variable providers("CARDIACSEG_PROVIDERS", folder.path().string());
  CHECK_THROWS_CODE(provider("tensorrt"), ErrorCode::backend,
                    (folder / "libcardiacseg_tensorrt.so").string() + ": the provider cannot be loaded: ");
}

TEST(a_library_of_another_kind_is_refused) {
  CHECK_THROWS_CODE(open_provider(NOT_A_PROVIDER, "tensorrt"), ErrorCode::backend,
                    "expected the function cardiacseg_open_provider, got none");
}

TEST(a_provider_of_another_interface_or_flavor_is_refused) {
  CHECK_THROWS_CODE(open_provider(kFake, "tensorrt_rtx"), ErrorCode::backend,
                    "expected a provider of flavor tensorrt_rtx, got one of flavor tensorrt");
  const Variable option("CARDIACSEG_FAKE", "other_interface");
  CHECK_THROWS_CODE(open_provider(kFake, "tensorrt"), ErrorCode::backend,
                    "expected a provider of interface version " + std::to_string(kInterfaceVersion) + ", got one of " +
                        std::to_string(kInterfaceVersion + 1));
}

TEST(a_library_that_ends_the_process_that_opens_it_is_tried_in_a_child) {
  const Variable providers("CARDIACSEG_PROVIDERS", PROVIDERS);
  {
    const Variable option("CARDIACSEG_FAKE", "crashes");
    CHECK_THROWS_CODE(library_version("tensorrt"), ErrorCode::backend,
                      "opening libnvinfer.so ended the process that tried it by signal 11");
    CHECK_THROWS_CODE(opened_provider("tensorrt"), ErrorCode::backend, "open it first, with LD_PRELOAD=");
  }
  {
    const Variable option("CARDIACSEG_FAKE", "no_library");
    CHECK_THROWS_CODE(library_version("tensorrt"), ErrorCode::backend, "expected libnvinfer.so.10, got none");
  }
  CHECK(library_version("tensorrt") == "10.16.0-fake");
  const Variable option("CARDIACSEG_FAKE", "crashes");
  CHECK(library_version("tensorrt") == "10.16.0-fake");
}

TEST(without_the_program_that_tries_it_tensorrt_is_not_opened) {
  const TemporaryFolder folder;
  const std::string name = "libcardiacseg_tensorrt_rtx.so";
  std::filesystem::copy_file(std::filesystem::path(PROVIDERS) / name, folder / name);
  const Variable providers("CARDIACSEG_PROVIDERS", folder.path().string());
  CHECK_THROWS_CODE(library_version("tensorrt_rtx"), ErrorCode::backend,
                    "expected the program cardiacseg_probe beside the provider to try TensorRT, got: ");
}

/// Last, since a provider stays for the rest of the process.
TEST(a_provider_is_opened_once) {
  {
    const Variable providers("CARDIACSEG_PROVIDERS", PROVIDERS);
    CHECK(provider("tensorrt").facts().flavor == "tensorrt");
    CHECK(provider("tensorrt_rtx").facts().flavor == "tensorrt_rtx");
  }
  const Variable nowhere("CARDIACSEG_PROVIDERS", "/nowhere");
  CHECK(provider("tensorrt").library_version() == "10.16.0-fake");
}

}  // namespace cardiacseg::tensorrt
