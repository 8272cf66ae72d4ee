# SPDX-License-Identifier: Apache-2.0
#
# Defines the imported target `wasmtime`: Wasmtime's C API.
#
# With WASMTIME_ROOT an installed one is used. Otherwise deps/wasmtime is built
# once for this machine: the result lies in the user's cache folder under a key
# of all that went in, so that another checkout finds it there.

add_library(wasmtime UNKNOWN IMPORTED GLOBAL)

if(WASMTIME_ROOT)
  find_library(wasmtime_library NAMES wasmtime PATHS ${WASMTIME_ROOT}/lib ${WASMTIME_ROOT}
    NO_DEFAULT_PATH NO_CACHE)
  if(NOT wasmtime_library OR NOT EXISTS ${WASMTIME_ROOT}/include/wasmtime/conf.h)
    message(FATAL_ERROR
      "WASMTIME_ROOT=${WASMTIME_ROOT} holds no Wasmtime C API: include/wasmtime/conf.h and "
      "lib/libwasmtime.a or .so are needed. Unset it to build the pinned version.")
  endif()
  set_target_properties(wasmtime PROPERTIES
    IMPORTED_LOCATION ${wasmtime_library}
    INTERFACE_INCLUDE_DIRECTORIES ${WASMTIME_ROOT}/include)
  file(STRINGS ${WASMTIME_ROOT}/include/wasmtime.h wasmtime_version_line
    REGEX "#define WASMTIME_VERSION \"")
  string(REGEX REPLACE ".*\"(.*)\".*" "\\1" WASMTIME_VERSION "${wasmtime_version_line}")
else()
  set(wasmtime_crate ${PROJECT_SOURCE_DIR}/deps/wasmtime)
  file(STRINGS ${wasmtime_crate}/Cargo.toml wasmtime_version_line REGEX "^version = \"=")
  string(REGEX REPLACE ".*\"=(.*)\".*" "\\1" WASMTIME_VERSION "${wasmtime_version_line}")

  # The oldest Rust that builds this version, and where Debian has one.
  set(wasmtime_rust_needed 1.95)
  foreach(candidate "$ENV{RUSTC}" rustc /usr/bin/rustc)
    if(candidate)
      execute_process(COMMAND ${candidate} --version OUTPUT_VARIABLE candidate_version
        ERROR_QUIET RESULT_VARIABLE candidate_failed OUTPUT_STRIP_TRAILING_WHITESPACE)
      if(NOT candidate_failed AND candidate_version MATCHES "^rustc ([0-9.]+)"
          AND CMAKE_MATCH_1 VERSION_GREATER_EQUAL wasmtime_rust_needed)
        find_program(wasmtime_rustc NAMES ${candidate} NO_CACHE)
        set(wasmtime_rustc_version ${candidate_version})
        break()
      endif()
    endif()
  endforeach()
  if(NOT wasmtime_rustc)
    message(FATAL_ERROR
      "Wasmtime ${WASMTIME_VERSION} needs Rust ${wasmtime_rust_needed} or newer and none was found. "
      "On Debian 12: apt-get install rustc-web cargo-web. Or set WASMTIME_ROOT to an installed C API.")
  endif()
  get_filename_component(wasmtime_rust_bin ${wasmtime_rustc} DIRECTORY)
  find_program(wasmtime_cargo NAMES cargo HINTS ${wasmtime_rust_bin} NO_DEFAULT_PATH NO_CACHE)
  if(NOT wasmtime_cargo)
    message(FATAL_ERROR
      "${wasmtime_rustc} has no cargo beside it. On Debian 12: apt-get install cargo-web.")
  endif()

  if(DEFINED ENV{XDG_CACHE_HOME} AND NOT "$ENV{XDG_CACHE_HOME}" STREQUAL "")
    set(cache_home $ENV{XDG_CACHE_HOME})
  else()
    set(cache_home $ENV{HOME}/.cache)
  endif()
  file(READ ${wasmtime_crate}/Cargo.toml key_toml)
  file(READ ${wasmtime_crate}/Cargo.lock key_lock)
  file(GLOB wasmtime_sources CONFIGURE_DEPENDS ${wasmtime_crate}/src/*.rs)
  set(key_sources)
  foreach(source ${wasmtime_sources})
    file(READ ${source} key_source)
    string(APPEND key_sources "${key_source}")
  endforeach()
  file(READ ${CMAKE_CURRENT_LIST_DIR}/BuildWasmtime.cmake key_script)
  string(SHA256 wasmtime_key
    "${key_toml}${key_lock}${key_sources}${key_script}${wasmtime_rustc_version}")
  string(SUBSTRING ${wasmtime_key} 0 16 wasmtime_key)
  set(wasmtime_prefix ${cache_home}/mod_wasm/wasmtime/${WASMTIME_VERSION}-${wasmtime_key})
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
    ${wasmtime_crate}/Cargo.toml ${wasmtime_crate}/Cargo.lock ${wasmtime_sources}
    ${CMAKE_CURRENT_LIST_DIR}/BuildWasmtime.cmake)

  if(NOT EXISTS ${wasmtime_prefix}/lib/libwasmtime.a)
    add_custom_command(
      OUTPUT ${wasmtime_prefix}/lib/libwasmtime.a
      COMMAND ${CMAKE_COMMAND} -D CRATE=${wasmtime_crate} -D PREFIX=${wasmtime_prefix}
        -D CARGO=${wasmtime_cargo} -D RUSTC=${wasmtime_rustc}
        -P ${CMAKE_CURRENT_LIST_DIR}/BuildWasmtime.cmake
      COMMENT "Wasmtime ${WASMTIME_VERSION}: building it once for this machine (4 to 10 minutes on 2 cores)"
      USES_TERMINAL VERBATIM)
    add_custom_target(wasmtime_build DEPENDS ${wasmtime_prefix}/lib/libwasmtime.a)
    add_dependencies(wasmtime wasmtime_build)
  endif()
  file(MAKE_DIRECTORY ${wasmtime_prefix}/include)
  set_target_properties(wasmtime PROPERTIES
    IMPORTED_LOCATION ${wasmtime_prefix}/lib/libwasmtime.a
    INTERFACE_INCLUDE_DIRECTORIES ${wasmtime_prefix}/include)
endif()

set_property(TARGET wasmtime PROPERTY INTERFACE_LINK_LIBRARIES "m;dl;pthread")
message(STATUS "Wasmtime ${WASMTIME_VERSION}: ${WASMTIME_ROOT}${wasmtime_prefix}")
