# switchyard_add_check_library(folder)
#
# The conformance kit as the target switchyard::check, from the sources in `folder`. Linux only.
function(switchyard_add_check_library folder)
  find_package(Threads REQUIRED)
  file(GLOB sources ${folder}/*.cpp)
  add_library(switchyard_check STATIC EXCLUDE_FROM_ALL ${sources})
  add_library(switchyard::check ALIAS switchyard_check)
  target_include_directories(switchyard_check PUBLIC ${folder}/include PRIVATE ${folder})
  target_link_libraries(switchyard_check PUBLIC switchyard::sdk Threads::Threads ${CMAKE_DL_LIBS})
  set_target_properties(switchyard_check PROPERTIES
    CXX_STANDARD 20 CXX_STANDARD_REQUIRED ON POSITION_INDEPENDENT_CODE ON)
endfunction()
