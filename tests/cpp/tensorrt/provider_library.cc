#include "backends/tensorrt/provider_library.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "expect_error.h"
#include "temporary_folder.h"

namespace cardiacseg::tensorrt {
namespace {

using test::TemporaryFolder;
using test::Variable;

const std::filesystem::path kFake = std::filesystem::path(PROVIDERS) / "libcardiacseg_tensorrt.so";

}  // namespace

TEST(ProviderLibrary, MissingLibraryIsNamedWithTheFolders) {
  const TemporaryFolder folder;
  const Variable providers("CARDIACSEG_PROVIDERS", folder.path().string());
  EXPECT_ERROR(provider("tensorrt_rtx"), ErrorCode::backend,
               "expected libcardiacseg_tensorrt_rtx.so in " + folder.path().string() + " or /");
  EXPECT_ERROR(provider("tensorrt_rtx"), ErrorCode::backend, ", got none");
}

TEST(ProviderLibrary, UnknownFlavorIsRefused) {
  EXPECT_ERROR(provider("rtx"), ErrorCode::invalid_input, "flavour must be tensorrt or tensorrt_rtx, got 'rtx'");
}

TEST(ProviderLibrary, FileThatIsNoLibraryIsRefused) {
  const TemporaryFolder folder;
  test::write_text(folder / "libcardiacseg_tensorrt.so", "text");
  const Variable providers("CARDIACSEG_PROVIDERS", folder.path().string());
  EXPECT_ERROR(provider("tensorrt"), ErrorCode::backend,
               (folder / "libcardiacseg_tensorrt.so").string() + ": the provider cannot be loaded: ");
}

TEST(ProviderLibrary, LibraryOfAnotherKindIsRefused) {
  EXPECT_ERROR(open_provider(NOT_A_PROVIDER, "tensorrt"), ErrorCode::backend,
               "expected the function cardiacseg_open_provider, got none");
}

TEST(ProviderLibrary, ProviderOfAnotherInterfaceOrFlavorIsRefused) {
  EXPECT_ERROR(open_provider(kFake, "tensorrt_rtx"), ErrorCode::backend,
               "expected a provider of flavor tensorrt_rtx, got one of flavor tensorrt");
  const Variable option("CARDIACSEG_FAKE", "other_interface");
  EXPECT_ERROR(open_provider(kFake, "tensorrt"), ErrorCode::backend,
               "expected a provider of interface version " + std::to_string(kInterfaceVersion) + ", got one of " +
                   std::to_string(kInterfaceVersion + 1));
}

TEST(ProviderLibrary, CrashingLibraryIsTriedInAChild) {
  const Variable providers("CARDIACSEG_PROVIDERS", PROVIDERS);
  {
    const Variable option("CARDIACSEG_FAKE", "crashes");
    EXPECT_ERROR(library_version("tensorrt"), ErrorCode::backend,
                 "opening libnvinfer.so ended the process that tried it by signal 11");
    EXPECT_ERROR(opened_provider("tensorrt"), ErrorCode::backend, "open it first, with LD_PRELOAD=");
  }
  {
    const Variable option("CARDIACSEG_FAKE", "no_library");
    EXPECT_ERROR(library_version("tensorrt"), ErrorCode::backend, "expected libnvinfer.so.10, got none");
  }
  EXPECT_EQ(library_version("tensorrt"), "10.16.0-fake");
  const Variable option("CARDIACSEG_FAKE", "crashes");
  EXPECT_EQ(library_version("tensorrt"), "10.16.0-fake");
}

TEST(ProviderLibrary, TensorrtIsNotOpenedWithoutTheProbe) {
  const TemporaryFolder folder;
  const std::string name = "libcardiacseg_tensorrt_rtx.so";
  std::filesystem::copy_file(std::filesystem::path(PROVIDERS) / name, folder / name);
  const Variable providers("CARDIACSEG_PROVIDERS", folder.path().string());
  EXPECT_ERROR(library_version("tensorrt_rtx"), ErrorCode::backend,
               "expected the program cardiacseg_probe beside the provider to try TensorRT, got: ");
}

/// Last, since a provider stays for the rest of the process.
TEST(ProviderLibrary, ProviderIsOpenedOnce) {
  {
    const Variable providers("CARDIACSEG_PROVIDERS", PROVIDERS);
    EXPECT_EQ(provider("tensorrt").facts().flavor, "tensorrt");
    EXPECT_EQ(provider("tensorrt_rtx").facts().flavor, "tensorrt_rtx");
  }
  const Variable nowhere("CARDIACSEG_PROVIDERS", "/nowhere");
  EXPECT_EQ(provider("tensorrt").library_version(), "10.16.0-fake");
}

}  // namespace cardiacseg::tensorrt
