# Finds LibTorch and defines LibTorch::LibTorch (CPU part always, CUDA part where its libraries load).
#
# Searched in this order: the LIBTORCH variable (CMake or environment; the folder that holds include/ and
# lib/), CMAKE_PREFIX_PATH, the private virtual environment scripts/setup.sh makes in build/venv, the wheel
# of the python3 on the PATH. The first one of the right version is taken; only a LIBTORCH of another
# version is an error, because it was asked for. The wheel's own TorchConfig.cmake is not used: it insists
# on a CUDA toolkit, which training on a CPU does not need.
#
# Result: LibTorch_FOUND, LibTorch_VERSION, LibTorch_ROOT_DIR, STREAMO_WITH_CUDA.
#
# Also runs as a script, so that scripts/setup.sh and the build never disagree about what is installed:
#   cmake -P third_party/FindLibTorch.cmake     prints "<version> <folder>", fails when there is none
cmake_minimum_required(VERSION 3.25)
if(CMAKE_SCRIPT_MODE_FILE)
  set(LibTorch_FIND_VERSION 2.11)
endif()

# The version in the headers of `root`, empty where there is no usable LibTorch.
function(_libtorch_version root out)
  set(version "")
  set(header ${root}/include/torch/headeronly/version.h)
  if(EXISTS ${header} AND EXISTS ${root}/lib/libtorch_cpu.so)
    foreach(part MAJOR MINOR PATCH)
      file(STRINGS ${header} line REGEX "define TORCH_VERSION_${part} ")
      string(REGEX MATCH "[0-9]+$" ${part} "${line}")
    endforeach()
    set(version ${MAJOR}.${MINOR}.${PATCH})
  endif()
  set(${out} "${version}" PARENT_SCOPE)
endfunction()

# Sets LibTorch_ROOT_DIR and LibTorch_VERSION if `root` holds a LibTorch of the wanted series (2.11.x).
macro(_libtorch_try root)
  if(NOT LibTorch_ROOT_DIR)
    _libtorch_version("${root}" _version)
    if(_version MATCHES "^${LibTorch_FIND_VERSION}[.]")
      set(LibTorch_ROOT_DIR "${root}")
      set(LibTorch_VERSION ${_version})
    endif()
  endif()
endmacro()

set(LibTorch_ROOT_DIR "")
set(LibTorch_VERSION "")
if(NOT LIBTORCH)
  set(LIBTORCH $ENV{LIBTORCH})
endif()
if(LIBTORCH)
  _libtorch_try("${LIBTORCH}")
  if(NOT LibTorch_ROOT_DIR)
    _libtorch_version("${LIBTORCH}" _version)
    message(FATAL_ERROR "LIBTORCH=${LIBTORCH} is not LibTorch ${LibTorch_FIND_VERSION} (version found: '${_version}'). "
      "Unset it and run `bash scripts/setup.sh`, or give the folder that has include/ and lib/ of that version.")
  endif()
endif()
string(REPLACE ":" ";" _prefixes "$ENV{CMAKE_PREFIX_PATH}")
file(GLOB _venv_torch ${CMAKE_CURRENT_LIST_DIR}/../build/venv/lib/python3*/site-packages/torch)
foreach(_root ${CMAKE_PREFIX_PATH} ${_prefixes} ${_venv_torch})
  get_filename_component(_root "${_root}" ABSOLUTE)
  _libtorch_try("${_root}")
endforeach()
if(NOT LibTorch_ROOT_DIR)
  execute_process(
    COMMAND python3 -c "import importlib.util as u, os; print(os.path.dirname(u.find_spec('torch').origin))"
    OUTPUT_VARIABLE _wheel OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE _ignored)
  _libtorch_try("${_wheel}")
endif()

if(CMAKE_SCRIPT_MODE_FILE)
  if(NOT LibTorch_ROOT_DIR)
    message(FATAL_ERROR "no LibTorch ${LibTorch_FIND_VERSION} found")
  endif()
  execute_process(COMMAND ${CMAKE_COMMAND} -E echo "${LibTorch_VERSION} ${LibTorch_ROOT_DIR}")
  return()
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(
  LibTorch REQUIRED_VARS LibTorch_ROOT_DIR VERSION_VAR LibTorch_VERSION
  REASON_FAILURE_MESSAGE "run `bash scripts/setup.sh`, which installs the pinned LibTorch, or give -DLIBTORCH=<folder>")

if(LibTorch_FOUND AND NOT TARGET LibTorch::LibTorch)
  set(_lib ${LibTorch_ROOT_DIR}/lib)
  set(_include ${LibTorch_ROOT_DIR}/include)
  get_filename_component(_site ${LibTorch_ROOT_DIR} DIRECTORY)
  add_library(LibTorch::LibTorch INTERFACE IMPORTED)
  target_include_directories(LibTorch::LibTorch SYSTEM INTERFACE ${_include} ${_include}/torch/csrc/api/include)
  target_link_libraries(LibTorch::LibTorch INTERFACE ${_lib}/libtorch_cpu.so ${_lib}/libc10.so)
  # LibTorch brings headers of a newer fmt than the system's library: whoever sees them needs their code too.
  target_compile_definitions(LibTorch::LibTorch INTERFACE FMT_HEADER_ONLY)
  # The wheel keeps the libraries of CUDA beside itself; they are found at run time, never linked.
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
    # c10d's header of its NCCL group includes NCCL's and CUDA's own.
    add_library(LibTorch::NCCL INTERFACE IMPORTED)
    target_include_directories(LibTorch::NCCL SYSTEM INTERFACE ${_site}/nvidia/nccl/include ${_site}/nvidia/cu13/include)
    target_compile_definitions(LibTorch::NCCL INTERFACE USE_C10D_NCCL)
  endif()
endif()
