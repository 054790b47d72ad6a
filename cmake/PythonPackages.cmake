# Finds C++ dependencies that come as Python packages: a system package if there is one, else the package of the
# Python interpreter that builds (Python_EXECUTABLE, or the first python3 on the path).

# Sets `variable` to the folder of Python package `name`, or to nothing if it is not installed.
function(python_package_dir name variable)
  find_package(Python COMPONENTS Interpreter)
  set(Python_EXECUTABLE "${Python_EXECUTABLE}" PARENT_SCOPE)
  execute_process(
    COMMAND "${Python_EXECUTABLE}" -c
      "import importlib.util as u; s = u.find_spec('${name}'); print(s.submodule_search_locations[0] if s else '', end='')"
    OUTPUT_VARIABLE folder
    ERROR_QUIET
  )
  set(${variable} "${folder}" PARENT_SCOPE)
endfunction()

# OpenVINO's wheel carries headers, libraries and a CMake package. The interpreter's own comes first, so that the module
# is built against the version that it will load.
macro(find_openvino)
  python_package_dir(openvino openvino_folder)
  find_package(OpenVINO 2026.4 QUIET COMPONENTS Runtime HINTS "${openvino_folder}/cmake")
  if(NOT OpenVINO_FOUND)
    message(FATAL_ERROR "OpenVINO 2026.4 was not found: run `pip install openvino==2026.4.1` with the Python that "
      "CMake finds (${Python_EXECUTABLE}), or set Python_EXECUTABLE or OpenVINO_DIR")
  endif()
endmacro()

# Defines nlohmann_json::nlohmann_json.
macro(find_nlohmann_json)
  find_package(nlohmann_json 3.11 QUIET)
  if(NOT nlohmann_json_FOUND)
    python_package_dir(nlohmann_json nlohmann_json_folder)
    find_path(NLOHMANN_JSON_INCLUDE_DIR nlohmann/json.hpp HINTS "${nlohmann_json_folder}/include")
    if(NOT NLOHMANN_JSON_INCLUDE_DIR)
      message(FATAL_ERROR "nlohmann/json.hpp was not found: run `pip install nlohmann-json` with the Python that "
        "CMake finds (${Python_EXECUTABLE}), or set Python_EXECUTABLE or NLOHMANN_JSON_INCLUDE_DIR")
    endif()
    add_library(nlohmann_json::nlohmann_json INTERFACE IMPORTED)
    target_include_directories(nlohmann_json::nlohmann_json INTERFACE "${NLOHMANN_JSON_INCLUDE_DIR}")
  endif()
endmacro()

macro(find_pybind11)
  set(PYBIND11_FINDPYTHON ON)
  find_package(Python REQUIRED COMPONENTS Interpreter Development.Module)
  python_package_dir(pybind11 pybind11_folder)
  find_package(pybind11 3 CONFIG REQUIRED HINTS "${pybind11_folder}/share/cmake/pybind11")
endmacro()
