# cardiacseg_cuda_runtime: headers and library of the CUDA runtime. cardiacseg_kernels: the operations as CUDA kernels,
# over plain pointers, sizes and a stream. cardiacseg_cuda: the same as a library of their own.

file(GLOB kernels CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/cpp/src/ops/*_cuda.cu)
add_library(cardiacseg_cuda_runtime INTERFACE)

# For tests: all that is written for CUDA as plain C++ on a GPU that is simulated on the CPU.
if(CARDIACSEG_SIMULATED_GPU)
  include(SimulatedGpu)
  return()
endif()

if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES AND NOT DEFINED ENV{CUDAARCHS})
  set(CARDIACSEG_DEFAULT_ARCHITECTURES ON)
  set(CMAKE_CUDA_ARCHITECTURES 80-real 90)  # what every compiler from 12.0 on knows; for enable_language
endif()
enable_language(CUDA)
find_package(CUDAToolkit 12 REQUIRED)
if(CARDIACSEG_DEFAULT_ARCHITECTURES)
  include(CudaArchitectures)
  cuda_architectures(CMAKE_CUDA_ARCHITECTURES ${CMAKE_CUDA_COMPILER_VERSION})
endif()
set(CMAKE_CUDA_STANDARD 17)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
set(CMAKE_CUDA_EXTENSIONS OFF)
target_link_libraries(cardiacseg_cuda_runtime INTERFACE CUDA::cudart_static)

add_library(cardiacseg_kernels STATIC ${kernels})
target_include_directories(cardiacseg_kernels
  PUBLIC ${PROJECT_SOURCE_DIR}/cpp/include ${PROJECT_SOURCE_DIR}/cpp/src
)
target_link_libraries(cardiacseg_kernels PUBLIC cardiacseg_cuda_runtime)
set_target_properties(cardiacseg_kernels PROPERTIES
  CUDA_RUNTIME_LIBRARY Static
  CUDA_VISIBILITY_PRESET default
  POSITION_INDEPENDENT_CODE ON
)
# The host's compiler fuses no multiplication with an addition, so that both sides give the same numbers. Attention,
# which is compared within a tolerance, is free to.
set_source_files_properties(
  ${PROJECT_SOURCE_DIR}/cpp/src/ops/keep_largest_component_cuda.cu
  ${PROJECT_SOURCE_DIR}/cpp/src/ops/heart_localization_cuda.cu
  ${PROJECT_SOURCE_DIR}/cpp/src/ops/mask_fusion_cuda.cu
  ${PROJECT_SOURCE_DIR}/cpp/src/ops/percentile_range_cuda.cu
  ${PROJECT_SOURCE_DIR}/cpp/src/ops/preprocess_cuda.cu
  ${PROJECT_SOURCE_DIR}/cpp/src/ops/stage_counts_cuda.cu
  PROPERTIES COMPILE_OPTIONS -fmad=false
)

# No source of its own: a header stands in for it.
add_library(cardiacseg_cuda SHARED ${PROJECT_SOURCE_DIR}/cpp/src/ops/device.h)
target_include_directories(cardiacseg_cuda
  PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/cpp/include> $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/cpp/src>
  INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>
            $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/cardiacseg/kernels>
)
target_compile_features(cardiacseg_cuda INTERFACE cxx_std_17)
target_link_libraries(cardiacseg_cuda PRIVATE $<LINK_LIBRARY:WHOLE_ARCHIVE,cardiacseg_kernels>)
set_target_properties(cardiacseg_cuda PROPERTIES
  CUDA_RUNTIME_LIBRARY Static
  LINKER_LANGUAGE CUDA
  VERSION ${PROJECT_VERSION}
  SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}
)
add_library(cardiacseg::cardiacseg_cuda ALIAS cardiacseg_cuda)

install(TARGETS cardiacseg_cuda EXPORT cardiacseg COMPONENT sdk)
# What the kernels' headers include, and no more.
foreach(header
  keep_largest_component_cuda crop device heart_localization_cuda heart_localization_geometry intensity_range label_counts mask_fusion_cuda
  mask_fusion_geometry percentile_range_cuda pixels preprocess_cuda require scalar slice_attention slice_attention_cuda
  stage_counts_cuda
)
  install(FILES ${PROJECT_SOURCE_DIR}/cpp/src/ops/${header}.h
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/cardiacseg/kernels/ops COMPONENT sdk)
endforeach()
