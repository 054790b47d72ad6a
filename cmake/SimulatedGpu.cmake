# The simulated GPU of the tests in place of CUDA: defines what Kernels.cmake does but the kernels' own library.

add_library(simulated_gpu STATIC ${PROJECT_SOURCE_DIR}/tests/cpp/simulated_gpu/simulator.cc)
target_include_directories(simulated_gpu PUBLIC ${PROJECT_SOURCE_DIR}/tests/cpp/simulated_gpu)
# The simulator's fibres jump between stacks, which a checked longjmp takes for an error.
target_compile_options(simulated_gpu PRIVATE -U_FORTIFY_SOURCE)
if(CMAKE_CXX_FLAGS MATCHES "-fsanitize=thread")
  # Races of the kernels are looked for, not the simulator's own.
  target_compile_options(simulated_gpu PRIVATE -fno-sanitize=thread)
  target_compile_definitions(simulated_gpu PRIVATE SIMULATED_GPU_FINDS_RACES)
endif()
set_target_properties(simulated_gpu PROPERTIES POSITION_INDEPENDENT_CODE ON)

if(CARDIACSEG_WITH_CUDA AND CARDIACSEG_SIMULATED_GPU)
  target_link_libraries(cardiacseg_cuda_runtime INTERFACE simulated_gpu)

  set_source_files_properties(${kernels} PROPERTIES LANGUAGE CXX)
  add_library(cardiacseg_kernels STATIC ${kernels})
  target_include_directories(cardiacseg_kernels
    PUBLIC ${PROJECT_SOURCE_DIR}/cpp/include ${PROJECT_SOURCE_DIR}/cpp/src
  )
  # Before the real headers come those that stand in for CUDA's.
  target_include_directories(cardiacseg_kernels BEFORE PRIVATE ${PROJECT_SOURCE_DIR}/tests/cpp/simulated_gpu)
  target_compile_options(cardiacseg_kernels PRIVATE -Wno-unknown-pragmas)
  target_link_libraries(cardiacseg_kernels PUBLIC cardiacseg_cuda_runtime)
  set_target_properties(cardiacseg_kernels PROPERTIES POSITION_INDEPENDENT_CODE ON)
endif()
