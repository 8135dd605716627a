# Imported targets for the LibTorch inside the torch wheel: torch_wheel::cpu. The wheel's own CMake config is not used: it demands nvcc.
find_path(TorchWheel_ROOT NAMES torch/lib/libtorch_cpu.so
  PATHS "${FEDSTILL_DEPS}/torch" NO_DEFAULT_PATH)
# The CUDA runtime's headers, which even the CPU parts bring (of an older bootstrap not all: then no step is recorded on a GPU); nothing of
# CUDA is linked.
find_path(TorchWheel_CUDA_INCLUDE NAMES crt/host_config.h
  PATHS "${FEDSTILL_DEPS}/torch/nvidia/cu13/include" NO_DEFAULT_PATH)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(TorchWheel REQUIRED_VARS TorchWheel_ROOT
  REASON_FAILURE_MESSAGE "expected ${FEDSTILL_DEPS}/torch/torch/lib/libtorch_cpu.so (run ./check or ./fedstill once to install it)")
if(TorchWheel_FOUND AND NOT TARGET torch_wheel::cpu)
  set(_torch "${TorchWheel_ROOT}/torch")
  add_library(torch_wheel::c10 SHARED IMPORTED)
  set_target_properties(torch_wheel::c10 PROPERTIES IMPORTED_LOCATION "${_torch}/lib/libc10.so")
  add_library(torch_wheel::cpu SHARED IMPORTED)
  set_target_properties(torch_wheel::cpu PROPERTIES
    IMPORTED_LOCATION "${_torch}/lib/libtorch_cpu.so"
    INTERFACE_INCLUDE_DIRECTORIES "${_torch}/include"
    INTERFACE_COMPILE_DEFINITIONS "AT_PER_OPERATOR_HEADERS;_GLIBCXX_USE_CXX11_ABI=1"
    INTERFACE_LINK_OPTIONS "LINKER:--no-as-needed;LINKER:--allow-shlib-undefined;LINKER:-rpath,${_torch}/lib"
    INTERFACE_LINK_LIBRARIES torch_wheel::c10)
endif()
