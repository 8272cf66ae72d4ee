set(wasi_sources
  ${CMAKE_CURRENT_LIST_DIR}/context.cpp
  ${CMAKE_CURRENT_LIST_DIR}/directory_stream.cpp
  ${CMAKE_CURRENT_LIST_DIR}/fd_functions.cpp
  ${CMAKE_CURRENT_LIST_DIR}/fd_table.cpp
  ${CMAKE_CURRENT_LIST_DIR}/file_status.cpp
  ${CMAKE_CURRENT_LIST_DIR}/io_functions.cpp
  ${CMAKE_CURRENT_LIST_DIR}/lock_directories.cpp
  ${CMAKE_CURRENT_LIST_DIR}/lock_functions.cpp
  ${CMAKE_CURRENT_LIST_DIR}/path.cpp
  ${CMAKE_CURRENT_LIST_DIR}/path_functions.cpp
  ${CMAKE_CURRENT_LIST_DIR}/poll_functions.cpp
  ${CMAKE_CURRENT_LIST_DIR}/process_functions.cpp
  ${CMAKE_CURRENT_LIST_DIR}/table.cpp
  ${CMAKE_CURRENT_LIST_DIR}/types.cpp
  ${CMAKE_CURRENT_LIST_DIR}/wait.cpp)
target_sources(wasmrt_objects PRIVATE ${wasi_sources})

if(MOD_WASM_TESTS)
  target_sources(runtime_tests PRIVATE
    ${CMAKE_CURRENT_LIST_DIR}/fd_functions_test.cpp
    ${CMAKE_CURRENT_LIST_DIR}/io_functions_test.cpp
    ${CMAKE_CURRENT_LIST_DIR}/lock_directories_test.cpp
    ${CMAKE_CURRENT_LIST_DIR}/lock_functions_test.cpp
    ${CMAKE_CURRENT_LIST_DIR}/path_functions_test.cpp
    ${CMAKE_CURRENT_LIST_DIR}/path_test.cpp
    ${CMAKE_CURRENT_LIST_DIR}/poll_functions_test.cpp
    ${CMAKE_CURRENT_LIST_DIR}/process_functions_test.cpp
    ${CMAKE_CURRENT_LIST_DIR}/table_test.cpp
    ${CMAKE_CURRENT_LIST_DIR}/test_support.cpp)
endif()

# Needs nothing of the engine: the functions are called without one.
if(MOD_WASM_FUZZ)
  add_executable(fuzz_wasi ${CMAKE_CURRENT_LIST_DIR}/fuzz_wasi.cpp ${wasi_sources})
  target_include_directories(fuzz_wasi PRIVATE ${CMAKE_CURRENT_SOURCE_DIR} include)
  target_compile_options(fuzz_wasi PRIVATE -fsanitize=fuzzer,address,undefined
    -fno-sanitize-recover=undefined)
  target_link_options(fuzz_wasi PRIVATE -fsanitize=fuzzer,address,undefined)
endif()
