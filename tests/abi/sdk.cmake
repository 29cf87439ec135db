# Installs the SDK as a package would, and builds the examples from there with nothing of this tree in sight; for another
# system the templates too (for this one abi_new does).
# cmake -DBUILD=... -DWORK=... -DC=... -DCXX=... -DGENERATOR=... [-DSYSTEM=Windows] -P sdk.cmake
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE failed OUTPUT_VARIABLE text ERROR_VARIABLE text)
  if(failed)
    message(FATAL_ERROR "${ARGN}\n${text}")
  endif()
endfunction()

file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK}/plugins)
file(CHMOD ${WORK}/plugins PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE)
run(${CMAKE_COMMAND} --install ${BUILD} --component sdk --prefix ${WORK}/prefix)
file(GLOB examples ${WORK}/prefix/share/doc/*/examples/*/CMakeLists.txt)
if(NOT examples)
  message(FATAL_ERROR "no example was installed below ${WORK}/prefix")
endif()
if(SYSTEM)
  file(GLOB templates ${WORK}/prefix/share/doc/*/template/*/CMakeLists.txt)
  list(APPEND examples ${templates})
  set(system -DCMAKE_SYSTEM_NAME=${SYSTEM})
endif()
foreach(list ${examples})
  get_filename_component(source ${list} DIRECTORY)
  get_filename_component(name ${source} NAME)
  run(${CMAKE_COMMAND} -S ${source} -B ${WORK}/${name} -G ${GENERATOR}
    -DCMAKE_C_COMPILER=${C} -DCMAKE_CXX_COMPILER=${CXX} -DCMAKE_PREFIX_PATH=${WORK}/prefix
    -DCMAKE_BUILD_TYPE=RelWithDebInfo ${system})
  run(${CMAKE_COMMAND} --build ${WORK}/${name})
  file(GLOB built ${WORK}/${name}/*.so ${WORK}/${name}/*.dll)
  foreach(file ${built})
    get_filename_component(plugin ${file} NAME)
    if(plugin MATCHES "^mine")  # every template's
      set(plugin ${name}_${plugin})
    endif()
    configure_file(${file} ${WORK}/plugins/${plugin} COPYONLY
      FILE_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE)
  endforeach()
endforeach()
