# cuda_architectures(<variable> <version>): the architectures to build for by default with nvcc of this version. Code for
# each generation that it knows, and for what comes after the last one its intermediate form.
function(cuda_architectures variable version)
  set(known 75 80 86 89 90)
  if(version VERSION_GREATER_EQUAL 12.8)
    list(APPEND known 100 120)
  endif()
  list(POP_BACK known last)
  list(TRANSFORM known APPEND -real)
  set(${variable} ${known} ${last} PARENT_SCOPE)
endfunction()
