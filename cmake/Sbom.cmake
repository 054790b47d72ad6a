# What is inside the wheel, as CycloneDX 1.6, for the wheel's dist-info/sboms (PEP 770): cardiacseg.cdx.json.

set(sbom_components "")

# Adds what is compiled in or copied: `type` and `licence` in CycloneDX's and SPDX's words, `purl` without a version.
function(sbom_component type name version licence purl)
  set(component "{\"type\": \"${type}\", \"bom-ref\": \"${name}\", \"name\": \"${name}\", \"version\": \"${version}\"")
  string(APPEND component ", \"licenses\": [{\"expression\": \"${licence}\"}]")
  if(purl)
    string(APPEND component ", \"purl\": \"${purl}@${version}\"")
  endif()
  set(sbom_components ${sbom_components} "${component}}" PARENT_SCOPE)
endfunction()

file(READ ${PROJECT_SOURCE_DIR}/python/cardiacseg/bundles/default/manifest.json manifest)
string(JSON model_version GET "${manifest}" version)
get_target_property(json_folder nlohmann_json::nlohmann_json INTERFACE_INCLUDE_DIRECTORIES)
find_file(json_header nlohmann/json.hpp PATHS ${json_folder} NO_DEFAULT_PATH NO_CACHE REQUIRED)
file(STRINGS ${json_header} json_version REGEX "version [0-9.]+$" LIMIT_COUNT 1)
string(REGEX REPLACE ".*version " "" json_version "${json_version}")

sbom_component(library pybind11 ${pybind11_VERSION} BSD-3-Clause pkg:github/pybind/pybind11)
sbom_component(library nlohmann-json ${json_version} MIT pkg:github/nlohmann/json)
sbom_component(machine-learning-model default-model ${model_version} CC-BY-NC-SA-4.0 "")
if(CARDIACSEG_WITH_OPENVINO)
  sbom_component(library openvino-headers ${OpenVINO_VERSION} Apache-2.0 pkg:github/openvinotoolkit/openvino)
endif()
if(CARDIACSEG_WITH_CUDA AND NOT CARDIACSEG_SIMULATED_GPU)
  sbom_component(library cuda-runtime ${CUDAToolkit_VERSION} LicenseRef-NVIDIA-CUDA-Toolkit-EULA "")
endif()
if(CARDIACSEG_PORTABLE)
  sbom_component(library libstdc++ ${CMAKE_CXX_COMPILER_VERSION} "GPL-3.0-or-later WITH GCC-exception-3.1" "")
endif()

list(JOIN sbom_components ",\n    " sbom_components)
file(WRITE ${CMAKE_BINARY_DIR}/cardiacseg.cdx.json "{
  \"\$schema\": \"http://cyclonedx.org/schema/bom-1.6.schema.json\",
  \"bomFormat\": \"CycloneDX\",
  \"specVersion\": \"1.6\",
  \"version\": 1,
  \"metadata\": {\"component\": {
    \"type\": \"library\", \"bom-ref\": \"cardiacseg\", \"name\": \"cardiacseg\", \"version\": \"${PROJECT_VERSION}\",
    \"purl\": \"pkg:pypi/cardiacseg@${PROJECT_VERSION}\", \"licenses\": [{\"expression\": \"Apache-2.0\"}]
  }},
  \"components\": [
    ${sbom_components}
  ]
}
")
install(FILES ${CMAKE_BINARY_DIR}/cardiacseg.cdx.json DESTINATION ${SKBUILD_METADATA_DIR}/sboms COMPONENT python)
