target_sources(wasmrt_objects PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/module_info.cpp
  ${CMAKE_CURRENT_LIST_DIR}/module_info_abi.cpp)

if(MOD_WASM_TESTS)
  target_sources(runtime_tests PRIVATE
    ${CMAKE_CURRENT_LIST_DIR}/module_info_test.cpp)
endif()

if(MOD_WASM_FUZZ)
  add_executable(fuzz_module_info ${CMAKE_CURRENT_LIST_DIR}/fuzz_module_info.cpp)
  target_compile_options(fuzz_module_info PRIVATE -fsanitize=fuzzer)
  target_link_options(fuzz_module_info PRIVATE -fsanitize=fuzzer)
  target_link_libraries(fuzz_module_info PRIVATE wasmrt_objects)
endif()
