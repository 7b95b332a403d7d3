# The example of docs/live.md, built by itself with nothing but what `cmake --install` has put somewhere.
#   cmake -DBUILD=FOLDER -DEXAMPLE=FOLDER -DWORK=FOLDER -DCXX=COMPILER [-DLAUNCHER=COMMAND] -P installed_example.cmake
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE code OUTPUT_VARIABLE text ERROR_VARIABLE text)
  if(NOT code EQUAL 0)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${command}\n${text}")
  endif()
endfunction()

file(REMOVE_RECURSE ${WORK})
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/prefix)
file(COPY ${EXAMPLE}/ DESTINATION ${WORK}/source)
run(${CMAKE_COMMAND} -S ${WORK}/source -B ${WORK}/build -G Ninja -DCMAKE_PREFIX_PATH=${WORK}/prefix
    -DCMAKE_CXX_COMPILER=${CXX} -DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER} -DCMAKE_BUILD_TYPE=Debug)
run(${CMAKE_COMMAND} --build ${WORK}/build)
run(${WORK}/prefix/bin/streamo --help)

execute_process(COMMAND ${WORK}/build/live_session nowhere clip.mp4 "What?" RESULT_VARIABLE code ERROR_VARIABLE said)
if(NOT code EQUAL 1 OR NOT said MATCHES "nowhere: no such model directory")
  message(FATAL_ERROR "exit code ${code}: ${said}")
endif()
