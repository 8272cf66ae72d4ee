target_sources(wasmrt_objects PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/context.cpp
  ${CMAKE_CURRENT_LIST_DIR}/directory_stream.cpp
  ${CMAKE_CURRENT_LIST_DIR}/fd_functions.cpp
  ${CMAKE_CURRENT_LIST_DIR}/fd_table.cpp
  ${CMAKE_CURRENT_LIST_DIR}/file_status.cpp
  ${CMAKE_CURRENT_LIST_DIR}/io_functions.cpp
  ${CMAKE_CURRENT_LIST_DIR}/path.cpp
  ${CMAKE_CURRENT_LIST_DIR}/path_functions.cpp
  ${CMAKE_CURRENT_LIST_DIR}/poll_functions.cpp
  ${CMAKE_CURRENT_LIST_DIR}/process_functions.cpp
  ${CMAKE_CURRENT_LIST_DIR}/table.cpp
  ${CMAKE_CURRENT_LIST_DIR}/types.cpp
  ${CMAKE_CURRENT_LIST_DIR}/wait.cpp)

if(MOD_WASM_TESTS)
  target_sources(runtime_tests PRIVATE
    ${CMAKE_CURRENT_LIST_DIR}/fd_functions_test.cpp
    ${CMAKE_CURRENT_LIST_DIR}/io_functions_test.cpp
    ${CMAKE_CURRENT_LIST_DIR}/path_functions_test.cpp
    ${CMAKE_CURRENT_LIST_DIR}/path_test.cpp
    ${CMAKE_CURRENT_LIST_DIR}/poll_functions_test.cpp
    ${CMAKE_CURRENT_LIST_DIR}/process_functions_test.cpp
    ${CMAKE_CURRENT_LIST_DIR}/table_test.cpp
    ${CMAKE_CURRENT_LIST_DIR}/test_support.cpp)
endif()
