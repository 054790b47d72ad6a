# cardiacseg_probe: the program in which opening TensorRT is tried; it lies beside the providers.
# cardiacseg_tensorrt and cardiacseg_tensorrt_rtx: a provider library for each flavor whose headers are found. They need
# no library of TensorRT to be built, and open it when they are used.

include(TensorRTHeaders)

option(CARDIACSEG_FETCH_TENSORRT_HEADERS "Fetch TensorRT's headers from NVIDIA's repositories if there are none" OFF)

find_tensorrt_headers(tensorrt TensorRT_ROOT tensorrt_headers)
find_tensorrt_headers(tensorrt_rtx TensorRT_RTX_ROOT tensorrt_rtx_headers)
if(NOT tensorrt_headers AND CARDIACSEG_FETCH_TENSORRT_HEADERS)
  fetch_tensorrt_headers(tensorrt_headers)
endif()

set(tensorrt_sources ${PROJECT_SOURCE_DIR}/cpp/src/backends/tensorrt)
add_executable(cardiacseg_probe ${tensorrt_sources}/probe_main.cc ${tensorrt_sources}/provider_library.cc)
target_include_directories(cardiacseg_probe PRIVATE ${PROJECT_SOURCE_DIR}/cpp/include ${PROJECT_SOURCE_DIR}/cpp/src)
target_link_libraries(cardiacseg_probe PRIVATE ${CMAKE_DL_LIBS})
install(TARGETS cardiacseg_probe DESTINATION cardiacseg COMPONENT python)
install(TARGETS cardiacseg_probe DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT sdk)

file(GLOB provider_sources CONFIGURE_DEPENDS ${tensorrt_sources}/provider/*.cc)
set(provider_exports ${tensorrt_sources}/provider/exports.map)

foreach(flavor tensorrt tensorrt_rtx)
  if(NOT ${flavor}_headers)
    message(STATUS "cardiacseg_${flavor} is not built: no headers of ${flavor} were found")
    continue()
  endif()
  message(STATUS "cardiacseg_${flavor}: headers in ${${flavor}_headers}")
  set(provider cardiacseg_${flavor})
  add_library(${provider} MODULE ${provider_sources})
  target_include_directories(${provider} PRIVATE ${PROJECT_SOURCE_DIR}/cpp/include ${PROJECT_SOURCE_DIR}/cpp/src)
  # Warnings are about our own code.
  target_include_directories(${provider} SYSTEM BEFORE PRIVATE ${${flavor}_headers})
  target_link_libraries(${provider} PRIVATE cardiacseg_kernels cardiacseg_cuda_runtime ${CMAKE_DL_LIBS})
  target_link_options(${provider} PRIVATE LINKER:--version-script=${provider_exports} LINKER:--no-undefined)
  set_target_properties(${provider} PROPERTIES LINK_DEPENDS ${provider_exports})
  # Beside the core, which opens them.
  install(TARGETS ${provider} DESTINATION cardiacseg COMPONENT python)
  install(TARGETS ${provider} DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT sdk)
endforeach()
