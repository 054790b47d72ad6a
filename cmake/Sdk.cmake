# The SDK archive: everything that a program needs which links the library, in one folder that may lie anywhere.
# `cmake --workflow --preset sdk` makes build/sdk/cardiacseg-sdk-<version>-<system>-<processor>.tar.zst.

# OpenVINO's libraries beside ours: the runtime, the readers of ONNX and of compiled networks (IR), the CPU's plugin and
# its threads.
if(CARDIACSEG_WITH_OPENVINO)
  get_target_property(openvino_library openvino::runtime LOCATION)
  get_filename_component(openvino_libs "${openvino_library}" DIRECTORY)
  file(GLOB openvino_files
    "${openvino_libs}/libopenvino.so.*" "${openvino_libs}/libopenvino_onnx_frontend.so.*"
    "${openvino_libs}/libopenvino_ir_frontend.so.*"
    "${openvino_libs}/libopenvino_intel_cpu_plugin.so" "${openvino_libs}/libtbb.so.*"
    "${openvino_libs}/libtbbbind_2_5.so.*" "${openvino_libs}/libtbbmalloc.so.*" "${openvino_libs}/libhwloc.so.*"
  )
  list(LENGTH openvino_files count)
  if(count LESS 5)
    message(FATAL_ERROR "CARDIACSEG_RELOCATABLE: expected OpenVINO's libraries in ${openvino_libs}, got ${openvino_files}")
  endif()
  install(FILES ${openvino_files} DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT sdk)
  file(GLOB openvino_licences "${openvino_libs}/../../openvino-*.dist-info/licenses/")
  install(DIRECTORY ${openvino_licences}/ DESTINATION share/cardiacseg/licences/openvino COMPONENT sdk)
endif()

set_target_properties(cardiacseg PROPERTIES INSTALL_RPATH_USE_LINK_PATH OFF INSTALL_RPATH "$ORIGIN")

install(FILES third_party/nlohmann-json.txt DESTINATION share/cardiacseg/licences COMPONENT sdk)
configure_file(cmake/cardiacseg.pc.in cardiacseg.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/cardiacseg.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT sdk)
install(DIRECTORY python/cardiacseg/bundles DESTINATION share/cardiacseg COMPONENT sdk)
install(DIRECTORY cpp/examples DESTINATION share/cardiacseg COMPONENT sdk)
install(FILES LICENSE README.md DESTINATION share/cardiacseg COMPONENT sdk)
install(DIRECTORY docs DESTINATION share/cardiacseg COMPONENT sdk FILES_MATCHING PATTERN "*.md" PATTERN "*.png")

string(TOLOWER "${CMAKE_SYSTEM_NAME}-${CMAKE_SYSTEM_PROCESSOR}" platform)
set(CPACK_GENERATOR TZST)
set(CPACK_PACKAGE_FILE_NAME "cardiacseg-sdk-${PROJECT_VERSION}-${platform}")
set(CPACK_COMPONENTS_ALL sdk)
set(CPACK_ARCHIVE_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_COMPONENT_INCLUDE_TOPLEVEL_DIRECTORY ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_VERBATIM_VARIABLES ON)
include(CPack)
