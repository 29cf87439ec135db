# The Rust example: built and tested offline, held against its contract, its exports audited.
# cmake -DCARGO=... -DSOURCE=... -DWORK=... -DSWITCHYARD=... -DPYTHON=... -DLAYOUT=... -DEXPORTS=... -P rust.cmake
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE failed OUTPUT_VARIABLE text ERROR_VARIABLE text)
  if(failed)
    message(FATAL_ERROR "${ARGN}\n${text}")
  endif()
endfunction()

set(ENV{SWITCHYARD_LAYOUT} ${LAYOUT})
set(cargo_options --offline --locked --manifest-path ${SOURCE}/Cargo.toml --target-dir ${WORK})
run(${CARGO} test ${cargo_options})
run(${CARGO} build --release ${cargo_options})
set(plugin ${WORK}/release/libregion.so)
run(${SWITCHYARD} plugin check ${plugin})
run(${PYTHON} ${EXPORTS} ${plugin})
