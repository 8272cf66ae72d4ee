# SPDX-License-Identifier: Apache-2.0
#
# cmake -D CRATE= -D PREFIX= -D CARGO= -D RUSTC= -P BuildWasmtime.cmake
#
# Builds the crate and lays out PREFIX/include and PREFIX/lib. Safe to run from
# two checkouts at once. PREFIX/lib/libwasmtime.a appears last, whole.

file(MAKE_DIRECTORY ${PREFIX})
file(LOCK ${PREFIX}/lock GUARD PROCESS)
if(EXISTS ${PREFIX}/lib/libwasmtime.a)
  return()
endif()

set(target ${PREFIX}/target)
set(environment ${CMAKE_COMMAND} -E env RUSTC=${RUSTC} CARGO_TARGET_DIR=${target})

execute_process(
  COMMAND ${environment} ${CARGO} build --release --locked --manifest-path ${CRATE}/Cargo.toml
  RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "Wasmtime did not build (cargo says why above).")
endif()

# The headers come with the crate; cargo knows where it put it. Only the crates
# of this platform have been fetched.
execute_process(
  COMMAND ${RUSTC} --print host-tuple
  OUTPUT_VARIABLE host OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
execute_process(
  COMMAND ${environment} ${CARGO} metadata --locked --offline --format-version 1
    --filter-platform ${host} --manifest-path ${CRATE}/Cargo.toml
  OUTPUT_VARIABLE metadata RESULT_VARIABLE failed)
if(failed OR NOT metadata MATCHES "\"manifest_path\":\"([^\"]*/wasmtime-c-api-impl-[^/\"]*)/Cargo.toml\"")
  message(FATAL_ERROR "cargo metadata does not name the crate wasmtime-c-api-impl.")
endif()
set(headers ${CMAKE_MATCH_1}/include)
file(COPY ${headers}/ DESTINATION ${PREFIX}/include PATTERN "conf.h.in" EXCLUDE)

# wasmtime/conf.h tells the headers which features were built: those that
# Cargo.toml asks for.
file(READ ${CRATE}/Cargo.toml toml)
string(REGEX MATCH "\nfeatures = \\[([^]]*)\\]" unused "${toml}")
string(REGEX MATCHALL "[a-z0-9-]+" features "${CMAKE_MATCH_1}")
foreach(feature ${features})
  string(TOUPPER ${feature} feature)
  string(REPLACE "-" "_" feature ${feature})
  set(WASMTIME_FEATURE_${feature} 1)
endforeach()
configure_file(${headers}/wasmtime/conf.h.in ${PREFIX}/include/wasmtime/conf.h)

file(MAKE_DIRECTORY ${PREFIX}/lib)
file(RENAME ${target}/release/libwasmtime.a ${PREFIX}/lib/libwasmtime.a.new)
file(RENAME ${PREFIX}/lib/libwasmtime.a.new ${PREFIX}/lib/libwasmtime.a)
file(REMOVE_RECURSE ${target})
