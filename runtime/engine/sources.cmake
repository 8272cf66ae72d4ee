target_sources(wasmrt_objects PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/command.cpp
  ${CMAKE_CURRENT_LIST_DIR}/compiler.cpp
  ${CMAKE_CURRENT_LIST_DIR}/ending.cpp
  ${CMAKE_CURRENT_LIST_DIR}/engine.cpp
  ${CMAKE_CURRENT_LIST_DIR}/host_call.cpp
  ${CMAKE_CURRENT_LIST_DIR}/instance.cpp
  ${CMAKE_CURRENT_LIST_DIR}/interrupts.cpp
  ${CMAKE_CURRENT_LIST_DIR}/module.cpp
  ${CMAKE_CURRENT_LIST_DIR}/pre_initialize.cpp
  ${CMAKE_CURRENT_LIST_DIR}/run.cpp
  ${CMAKE_CURRENT_LIST_DIR}/settings.cpp
  ${CMAKE_CURRENT_LIST_DIR}/ticker.cpp
  ${CMAKE_CURRENT_LIST_DIR}/time_slice.cpp
  ${CMAKE_CURRENT_LIST_DIR}/written_pages.cpp)

if(MOD_WASM_TESTS)
  target_sources(runtime_tests PRIVATE
    ${CMAKE_CURRENT_LIST_DIR}/run_test.cpp
    ${CMAKE_CURRENT_LIST_DIR}/start_image_test.cpp
    ${CMAKE_CURRENT_LIST_DIR}/ticker_test.cpp
    ${CMAKE_CURRENT_LIST_DIR}/time_slice_test.cpp)
  if(NOT WASMTIME_ROOT)
    target_sources(runtime_tests PRIVATE ${CMAKE_CURRENT_LIST_DIR}/instance_test.cpp)
  endif()
endif()
