# A project of each kind as `switchyard plugin new` writes it: built with an installed SDK, tested, and checked.
# cmake -DBUILD=... -DWORK=... -DSWITCHYARD=... -DC=... -DCXX=... -DGENERATOR=... -P new.cmake
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE failed OUTPUT_VARIABLE text ERROR_VARIABLE text)
  if(failed)
    message(FATAL_ERROR "${ARGN}\n${text}")
  endif()
endfunction()

file(REMOVE_RECURSE ${WORK})
run(${CMAKE_COMMAND} --install ${BUILD} --component sdk --prefix ${WORK}/prefix)
set(check_provider --transcripts ${WORK}/my-provider)
set(check_strategy --config [[{"tag":"fast"}]])
set(check_logger --config [[{"path":"failed.log"}]])
foreach(kind provider strategy logger)
  set(project ${WORK}/my-${kind})
  run(${SWITCHYARD} plugin new ${kind} my-${kind} ${project})
  run(${CMAKE_COMMAND} -S ${project} -B ${project}/build -G ${GENERATOR} -DCMAKE_C_COMPILER=${C}
    -DCMAKE_CXX_COMPILER=${CXX} -DCMAKE_PREFIX_PATH=${WORK}/prefix)
  run(${CMAKE_COMMAND} --build ${project}/build)
  run(${CMAKE_CTEST_COMMAND} --test-dir ${project}/build --no-tests=error)
  run(${SWITCHYARD} plugin check ${project}/build/my-${kind}.so ${check_${kind}})
endforeach()
