target_sources(wasmrt_objects PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/text.cpp)

if(MOD_WASM_TESTS)
  target_sources(runtime_tests PRIVATE
    ${CMAKE_CURRENT_LIST_DIR}/text_test.cpp)
endif()
