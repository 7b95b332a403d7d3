# streamo_module(NAME [TORCH] DEPENDS ... [PRIVATE_DEPENDS ...])
#   One static library `streamo_NAME` of all sources of the folder. It links only what DEPENDS names, so that
#   an include against the direction of the architecture does not even find its symbols
#   (tests/architecture checks the text too). TORCH: links LibTorch and shares the one precompiled header.
#   Those of STREAMO_INSTALLED_MODULES are installed, as streamo::NAME.
function(streamo_module name)
  cmake_parse_arguments(ARG "TORCH" "" "DEPENDS;PRIVATE_DEPENDS" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  if(NOT sources)
    return()
  endif()
  add_library(streamo_${name} STATIC ${sources})
  target_include_directories(
    streamo_${name} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src>
                           $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(streamo_${name} PUBLIC ${ARG_DEPENDS} PRIVATE ${ARG_PRIVATE_DEPENDS})
  if(ARG_TORCH)
    target_link_libraries(streamo_${name} PUBLIC LibTorch::LibTorch)
    streamo_use_torch_pch(streamo_${name})
  endif()
  if(name IN_LIST STREAMO_INSTALLED_MODULES)
    set_target_properties(streamo_${name} PROPERTIES EXPORT_NAME ${name})
    install(TARGETS streamo_${name} EXPORT streamo)
  endif()
endfunction()

# streamo_avx512_source(FILE): compiles a source of this folder for AVX-512. Its functions are called only
# where the processor has it; so that no other source gets its code, it includes nothing of LibTorch.
# Products and sums are not contracted: results are the same as without.
function(streamo_avx512_source file)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    set(options -mavx512f -mavx512bw -mavx512vl -mavx512dq -ffp-contract=off)
    if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)  # its own intrinsics begin with "__m512 __Y = __Y" (GCC bug 105593)
      list(APPEND options -Wno-uninitialized -Wno-maybe-uninitialized)
    endif()
    set_source_files_properties(${file} PROPERTIES SKIP_PRECOMPILE_HEADERS ON COMPILE_OPTIONS "${options}")
  endif()
endfunction()

# streamo_test(NAME [TORCH] DEPENDS ...): all *_test.cpp of the folder as one GoogleTest program, run by CTest.
function(streamo_test name)
  cmake_parse_arguments(ARG "TORCH" "" "DEPENDS" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_test.cpp)
  if(NOT sources)
    return()
  endif()
  add_executable(${name}_test ${sources})
  target_include_directories(${name}_test PRIVATE ${PROJECT_SOURCE_DIR}/tests ${PROJECT_SOURCE_DIR}/src)
  target_compile_definitions(${name}_test PRIVATE STREAMO_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
                                                  STREAMO_BINARY="$<TARGET_FILE:streamo>")
  target_link_libraries(${name}_test PRIVATE ${ARG_DEPENDS} GTest::gmock GTest::gtest_main)
  if(ARG_TORCH)
    target_link_libraries(${name}_test PRIVATE LibTorch::LibTorch)
    streamo_use_torch_pch(${name}_test)
  endif()
  gtest_discover_tests(${name}_test DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT 600 LABELS ${name})
endfunction()

# streamo_oracle_test(NAME SCRIPT [ARGUMENT...]): a script of tests/oracle that compares us with another
# implementation; skipped where scripts/oracle.sh has not made its Python.
set(STREAMO_ORACLE_PYTHON ${PROJECT_SOURCE_DIR}/build/oracle-venv/bin/python3
    CACHE FILEPATH "Python with transformers, for the tests labelled oracle")
function(streamo_oracle_test name script)
  add_test(NAME oracle.${name}
           COMMAND sh -c "[ -x \"$0\" ] || exit 77; exec \"$0\" \"$@\"" ${STREAMO_ORACLE_PYTHON}
                   ${PROJECT_SOURCE_DIR}/tests/oracle/${script} ${ARGN})
  set_tests_properties(oracle.${name} PROPERTIES LABELS oracle SKIP_RETURN_CODE 77 TIMEOUT 600)
endfunction()

# torch.h costs about 20 s a source without this, 3 s with it (clang).
add_library(streamo_torch_pch OBJECT ${CMAKE_CURRENT_LIST_DIR}/torch_pch.cpp)
target_link_libraries(streamo_torch_pch PUBLIC LibTorch::LibTorch)
target_precompile_headers(streamo_torch_pch PRIVATE <torch/torch.h>)
function(streamo_use_torch_pch target)
  target_precompile_headers(${target} REUSE_FROM streamo_torch_pch)
endfunction()
