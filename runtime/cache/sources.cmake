target_sources(wasmrt_objects PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/compiler_process.cpp
  ${CMAKE_CURRENT_LIST_DIR}/file_io.cpp
  ${CMAKE_CURRENT_LIST_DIR}/image.cpp
  ${CMAKE_CURRENT_LIST_DIR}/image_abi.cpp
  ${CMAKE_CURRENT_LIST_DIR}/sha256.cpp
  ${CMAKE_CURRENT_LIST_DIR}/start_request.cpp
  ${CMAKE_CURRENT_LIST_DIR}/store.cpp)

if(MOD_WASM_TESTS)
  target_sources(runtime_tests PRIVATE
    ${CMAKE_CURRENT_LIST_DIR}/image_test.cpp)
endif()
