# find_googletest(): the targets GTest::gtest and GTest::gtest_main, if GoogleTest 1.12 or later is installed or can be
# fetched. To use sources that are already there, set FETCHCONTENT_SOURCE_DIR_GOOGLETEST.

include(FetchContent)
include(GoogleTest)

function(find_googletest)
  if(NOT FETCHCONTENT_SOURCE_DIR_GOOGLETEST)
    find_package(GTest 1.12 QUIET GLOBAL)
    if(GTest_FOUND)
      return()
    endif()
    set(archive ${PROJECT_BINARY_DIR}/googletest-1.17.0.tar.gz)
    file(DOWNLOAD https://github.com/google/googletest/releases/download/v1.17.0/googletest-1.17.0.tar.gz ${archive}
      STATUS status TIMEOUT 120 TLS_VERIFY ON
    )
    if(NOT status MATCHES "^0;")
      message(STATUS "GoogleTest was not found and could not be fetched (${status})")
      return()
    endif()
    FetchContent_Declare(googletest URL ${archive} DOWNLOAD_EXTRACT_TIMESTAMP ON
      URL_HASH SHA256=65fab701d9829d38cb77c14acdc431d2108bfdbf8979e40eb8ae567edf10b27c
    )
  else()
    FetchContent_Declare(googletest)
  endif()
  set(CMAKE_COMPILE_WARNING_AS_ERROR OFF)
  set(BUILD_GMOCK OFF)
  set(INSTALL_GTEST OFF)
  FetchContent_MakeAvailable(googletest)
endfunction()
