# With GCC 10 or newer on a system of glibc 2.31 or older (Debian 11), the library and the Python module run from glibc 2.28
# and the libstdc++ of GCC 8 on, as manylinux_2_28 demands. PyPA's images need none of this: their compiler does the same.

if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "GNU" OR NOT CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
  message(FATAL_ERROR "CARDIACSEG_PORTABLE: expected GCC on x86_64, got ${CMAKE_CXX_COMPILER_ID} on ${CMAKE_SYSTEM_PROCESSOR}")
endif()

# The functions that glibc 2.29 gave a second version, which differs in errno only.
file(WRITE ${CMAKE_BINARY_DIR}/portable.h
  "__asm__(\".symver exp,exp@GLIBC_2.2.5\");\n__asm__(\".symver pow,pow@GLIBC_2.2.5\");\n")
add_compile_options("SHELL:-include ${CMAKE_BINARY_DIR}/portable.h")

# What libstdc++.so has from GCC 9 on only, from the static library: std::filesystem, and a constructor of string streams.
set(objects fs_dir.o fs_ops.o fs_path.o sstream-inst.o)
execute_process(
  COMMAND ${CMAKE_CXX_COMPILER} -print-file-name=libstdc++.a
  OUTPUT_VARIABLE libstdcxx OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY
)
execute_process(
  COMMAND ${CMAKE_AR} x ${libstdcxx} ${objects} WORKING_DIRECTORY ${CMAKE_BINARY_DIR} COMMAND_ERROR_IS_FATAL ANY
)
list(TRANSFORM objects PREPEND ${CMAKE_BINARY_DIR}/)
file(REMOVE ${CMAKE_BINARY_DIR}/libportable.a)
execute_process(
  COMMAND ${CMAKE_AR} qc ${CMAKE_BINARY_DIR}/libportable.a ${objects} COMMAND_ERROR_IS_FATAL ANY
)
set(CMAKE_CXX_STANDARD_LIBRARIES "${CMAKE_CXX_STANDARD_LIBRARIES} ${CMAKE_BINARY_DIR}/libportable.a")
add_link_options(LINKER:--exclude-libs,libportable.a)
