# Finds the headers of TensorRT and of TensorRT-RTX, which call their files and classes alike but are not the same: each
# flavor takes those of its own alone, told apart by NvInferVersion.h.

# Whether `folder` holds the headers of `flavor`.
function(has_tensorrt_headers folder flavor variable)
  set(${variable} FALSE PARENT_SCOPE)
  if(NOT EXISTS "${folder}/NvInferVersion.h" OR NOT EXISTS "${folder}/NvOnnxParser.h")
    return()
  endif()
  file(STRINGS "${folder}/NvInferVersion.h" rtx REGEX "^#define TRT_MAJOR_RTX ")
  if((rtx AND flavor STREQUAL "tensorrt_rtx") OR (NOT rtx AND flavor STREQUAL "tensorrt"))
    set(${variable} TRUE PARENT_SCOPE)
  endif()
endfunction()

# Sets `variable` to the folder of `flavor`'s headers: that of `root`, a CMake or an environment variable, if it is set;
# else a folder of the system, or the newest of the folders that NVIDIA's archives are usually unpacked to. Nothing
# if there are none.
function(find_tensorrt_headers flavor root variable)
  set(${variable} "" PARENT_SCOPE)
  set(chosen "${${root}}")
  if(NOT chosen)
    set(chosen "$ENV{${root}}")
  endif()
  if(chosen)
    set(folders "${chosen}/include")
  else()
    file(GLOB folders /usr/local/TensorRT*/include /opt/TensorRT*/include)
    list(SORT folders COMPARE NATURAL ORDER DESCENDING)
    list(PREPEND folders /usr/include/${CMAKE_LIBRARY_ARCHITECTURE} /usr/include /usr/local/include)
  endif()
  foreach(folder IN LISTS folders)
    has_tensorrt_headers("${folder}" ${flavor} found)
    if(found)
      set(${variable} "${folder}" PARENT_SCOPE)
      return()
    endif()
  endforeach()
  if(chosen)
    message(FATAL_ERROR "${root}: expected the headers of ${flavor} in ${folders}, found none")
  endif()
endfunction()

# Sets `variable` to a folder with the headers of TensorRT 11.1, from NVIDIA's public repositories.
function(fetch_tensorrt_headers variable)
  set(folder "${PROJECT_BINARY_DIR}/tensorrt_headers")
  set(tensorrt https://raw.githubusercontent.com/NVIDIA/TensorRT/82d1dca801c8318a5605399d5240780d0679e4e1/include)
  set(parser https://raw.githubusercontent.com/onnx/onnx-tensorrt/7c51a63a719180eb5160c874c111746f3fb46a6b)
  foreach(file_and_hash IN ITEMS
    ${tensorrt}/NvInfer.h=b857831d9c79e9b04e83b65d58a512533ee363f91dbcaec77cba9c7746e8e8b3
    ${tensorrt}/NvInferImpl.h=c6acddec7e286c18e9cd08511553c2015f99c487ca25717790e54e30c18ade79
    ${tensorrt}/NvInferLegacyDims.h=3e10fe5b85545f2e956e6935271badf0b1c72553b698000a61d46d69c5d53030
    ${tensorrt}/NvInferPluginBase.h=759f354754e64bf4d1e68d7df796c155c46f8a27541bf1912ba13e79a5a26fc2
    ${tensorrt}/NvInferRuntime.h=e78c2d49516a66f726864904386534f63eacf0ad75a6dfdde7dfa70adf39f797
    ${tensorrt}/NvInferRuntimeBase.h=ec38759dbf8a5538c4cd30890f1764658bc2dcec87e95ac18148e476cbe1671b
    ${tensorrt}/NvInferRuntimeCommon.h=eff4c0251cb4813bbc7fe34c6b28fdb6c08734c27ae53b07974d2557bf1431be
    ${tensorrt}/NvInferRuntimePlugin.h=d4db4236da9c03e543949247a75478b5ce68fc84eb30cd15b35081b94c8d8391
    ${tensorrt}/NvInferVersion.h=8648df4851fb2df1a15d7dfdae6454428c4b119055f65f6a98de8ff806977b2e
    ${parser}/NvOnnxParser.h=88cba372991023241c7e1befc21e09e4d262b32162397b29d743ede61e0c7ac9
  )
    string(REPLACE "=" ";" parts "${file_and_hash}")
    list(GET parts 0 url)
    list(GET parts 1 hash)
    cmake_path(GET url FILENAME name)
    file(DOWNLOAD ${url} "${folder}/${name}" EXPECTED_HASH SHA256=${hash} TLS_VERIFY ON)
  endforeach()
  set(${variable} "${folder}" PARENT_SCOPE)
endfunction()
