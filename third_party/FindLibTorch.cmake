# Finds LibTorch and defines LibTorch::LibTorch (CPU part always, CUDA part where its libraries load).
#
# Searched in this order: the LIBTORCH variable (CMake or environment; the folder that holds include/ and
# lib/), CMAKE_PREFIX_PATH, the private virtual environment scripts/setup.sh makes in build/venv, an
# installed Python wheel. The wheel's own TorchConfig.cmake is not used: it insists on a CUDA toolkit,
# which training on a CPU does not need.
#
# Result: LibTorch_FOUND, LibTorch_VERSION, LibTorch_ROOT_DIR, STREAMO_WITH_CUDA.
file(GLOB _venv_torch ${PROJECT_SOURCE_DIR}/build/venv/lib/python3*/site-packages/torch)
set(_hints ${LIBTORCH} $ENV{LIBTORCH} ${CMAKE_PREFIX_PATH} ${_venv_torch})
find_path(LibTorch_INCLUDE_DIR torch/script.h HINTS ${_hints} PATH_SUFFIXES include NO_DEFAULT_PATH)
if(NOT LibTorch_INCLUDE_DIR)
  find_package(Python3 QUIET COMPONENTS Interpreter)
  if(Python3_FOUND)
    execute_process(
      COMMAND ${Python3_EXECUTABLE} -c
              "import importlib.util as u, os; print(os.path.dirname(u.find_spec('torch').origin))"
      OUTPUT_VARIABLE _wheel OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    find_path(LibTorch_INCLUDE_DIR torch/script.h HINTS ${_wheel} PATH_SUFFIXES include NO_DEFAULT_PATH)
  endif()
endif()

if(LibTorch_INCLUDE_DIR)
  get_filename_component(LibTorch_ROOT_DIR ${LibTorch_INCLUDE_DIR} DIRECTORY)
  foreach(_part MAJOR MINOR PATCH)
    file(STRINGS ${LibTorch_INCLUDE_DIR}/torch/headeronly/version.h _line REGEX "define TORCH_VERSION_${_part} ")
    string(REGEX MATCH "[0-9]+$" _${_part} "${_line}")
  endforeach()
  set(LibTorch_VERSION ${_MAJOR}.${_MINOR}.${_PATCH})
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(
  LibTorch REQUIRED_VARS LibTorch_ROOT_DIR LibTorch_INCLUDE_DIR VERSION_VAR LibTorch_VERSION
  REASON_FAILURE_MESSAGE "run `bash scripts/setup.sh`, which installs the pinned LibTorch, or give -DLIBTORCH=<folder>")

if(LibTorch_FOUND AND NOT TARGET LibTorch::LibTorch)
  set(_lib ${LibTorch_ROOT_DIR}/lib)
  get_filename_component(_site ${LibTorch_ROOT_DIR} DIRECTORY)
  add_library(LibTorch::LibTorch INTERFACE IMPORTED)
  target_include_directories(LibTorch::LibTorch SYSTEM INTERFACE
    ${LibTorch_INCLUDE_DIR} ${LibTorch_INCLUDE_DIR}/torch/csrc/api/include)
  target_link_libraries(LibTorch::LibTorch INTERFACE ${_lib}/libtorch_cpu.so ${_lib}/libc10.so)
  target_link_options(LibTorch::LibTorch INTERFACE
    -Wl,-rpath,${_lib} -Wl,-rpath,${_site}/nvidia/cu13/lib -Wl,-rpath-link,${_site}/nvidia/cu13/lib
    -Wl,--allow-shlib-undefined)
  # The CUDA part of the wheel needs cuDNN and NCCL beside it; setup.sh installs them where a driver is.
  set(STREAMO_WITH_CUDA OFF)
  if(EXISTS ${_lib}/libtorch_cuda.so AND EXISTS ${_site}/nvidia/cudnn AND EXISTS ${_site}/nvidia/nccl)
    set(STREAMO_WITH_CUDA ON)
    # Nothing refers to a symbol of libtorch_cuda: its kernels register themselves when it is loaded.
    target_link_libraries(LibTorch::LibTorch INTERFACE
      -Wl,--no-as-needed ${_lib}/libtorch_cuda.so -Wl,--as-needed ${_lib}/libc10_cuda.so)
  endif()
endif()
