# switchyard_add_plugin(NAME name SOURCES file... [LIBRARIES target...])
#
# Builds name.so (name.dll for Windows) with exactly one export, swy_plugin_v1, and with the C++ runtime linked in, so that it loads into any
# host on any distribution that is not older than the one it was built on.
function(switchyard_add_plugin)
  cmake_parse_arguments(ARG "" "NAME" "SOURCES;LIBRARIES" ${ARGN})
  add_library(${ARG_NAME} MODULE ${ARG_SOURCES})
  target_link_libraries(${ARG_NAME} PRIVATE switchyard::sdk ${ARG_LIBRARIES})
  set_target_properties(${ARG_NAME} PROPERTIES
    PREFIX "" C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
    # For the *.hpp of the SDK; its *.h are C89.
    CXX_STANDARD 20 CXX_STANDARD_REQUIRED ON)
  if(WIN32)
    # SWY_EXPORT marks the entry alone; the runtimes of MinGW are linked in.
    if(MINGW)
      target_link_options(${ARG_NAME} PRIVATE -static -Wl,--exclude-all-symbols)
    endif()
    return()
  endif()

  set(map ${CMAKE_CURRENT_BINARY_DIR}/${ARG_NAME}.map)
  file(WRITE ${map} "{ global: swy_plugin_v1; local: *; };\n")
  target_compile_options(${ARG_NAME} PRIVATE -fno-plt
    $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fno-gnu-unique>)
  target_link_options(${ARG_NAME} PRIVATE
    -Wl,--version-script=${map} -Wl,-z,now -Wl,-z,relro)
  set_property(TARGET ${ARG_NAME} APPEND PROPERTY LINK_DEPENDS ${map})
  if(NOT SWITCHYARD_SANITIZE)
    # Under a sanitizer its runtime's symbols come from the host, and it needs the shared C++ runtime.
    target_link_options(${ARG_NAME} PRIVATE -Wl,-z,defs -static-libgcc
      $<$<LINK_LANGUAGE:CXX>:-static-libstdc++>)
  endif()
endfunction()
