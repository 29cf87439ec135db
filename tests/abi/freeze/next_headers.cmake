# next_headers(DIRECTORY): the SDK's headers as the next minor might have them. A slot more at the end of the library's
# table and of the logger's, and SWY_MINOR one higher.
function(next_headers directory)
  file(MAKE_DIRECTORY ${directory}/switchyard)
  file(GLOB headers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/sdk/include/switchyard/*.h)
  foreach(header ${headers})
    get_filename_component(name ${header} NAME)
    file(READ ${header} text)
    string(REGEX REPLACE "define SWY_MINOR ([0-9]+)u" "define SWY_MINOR (\\1u + 1u)" text "${text}")
    string(REPLACE "} swy_lib;" "  swy_rc(SWY_CALL* refresh)(void);\n} swy_lib;" text "${text}")
    string(REPLACE "} swy_logger;" "  swy_rc(SWY_CALL* rotate)(void* inst);\n} swy_logger;" text "${text}")
    file(CONFIGURE OUTPUT ${directory}/switchyard/${name} CONTENT "${text}" @ONLY)
  endforeach()
endfunction()
