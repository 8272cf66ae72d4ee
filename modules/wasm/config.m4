dnl Licensed to the Apache Software Foundation (ASF) under one or more
dnl contributor license agreements.  See the NOTICE file distributed with
dnl this work for additional information regarding copyright ownership.
dnl The ASF licenses this file to You under the Apache License, Version 2.0
dnl (the "License"); you may not use this file except in compliance with
dnl the License.  You may obtain a copy of the License at
dnl
dnl      http://www.apache.org/licenses/LICENSE-2.0
dnl
dnl Unless required by applicable law or agreed to in writing, software
dnl distributed under the License is distributed on an "AS IS" BASIS,
dnl WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
dnl See the License for the specific language governing permissions and
dnl limitations under the License.

APACHE_MODPATH_INIT(wasm)

dnl CHECK_WASM_RUNTIME
dnl
dnl Looks for libwasm_runtime: under the prefix that --with-wasm-runtime
dnl names, else by pkg-config, else where the compiler looks by itself.
dnl Leaves ac_cv_wasm_runtime, WASM_RUNTIME_CFLAGS and WASM_RUNTIME_LIBS.
AC_DEFUN([CHECK_WASM_RUNTIME], [
  AC_ARG_WITH(wasm-runtime,
    APACHE_HELP_STRING(--with-wasm-runtime=PATH,prefix that libwasm_runtime is installed under),
    [wasm_runtime_prefix="$withval"], [wasm_runtime_prefix=""])

  WASM_RUNTIME_CFLAGS=""
  wasm_runtime_rpath=""
  WASM_RUNTIME_LIBS="-lwasm_runtime"
  if test -n "$wasm_runtime_prefix" -a "x$wasm_runtime_prefix" != "xyes"; then
    WASM_RUNTIME_CFLAGS="-I$wasm_runtime_prefix/include"
    for dir in lib lib64; do
      if test -d "$wasm_runtime_prefix/$dir"; then
        WASM_RUNTIME_LIBS="-L$wasm_runtime_prefix/$dir $WASM_RUNTIME_LIBS"
        wasm_runtime_rpath="-R$wasm_runtime_prefix/$dir"
      fi
    done
  elif test -n "$PKGCONFIG" && $PKGCONFIG --exists wasm-runtime; then
    WASM_RUNTIME_CFLAGS="`$PKGCONFIG --cflags wasm-runtime`"
    WASM_RUNTIME_LIBS="`$PKGCONFIG --libs wasm-runtime`"
  fi

  AC_CACHE_CHECK([for libwasm_runtime], [ac_cv_wasm_runtime], [
    save_CPPFLAGS="$CPPFLAGS"
    save_LIBS="$LIBS"
    CPPFLAGS="$CPPFLAGS $WASM_RUNTIME_CFLAGS"
    LIBS="$WASM_RUNTIME_LIBS $LIBS"
    AC_LINK_IFELSE([AC_LANG_PROGRAM(
      [[#include <wasm_runtime.h>
#if WASMRT_ABI_VERSION != 1
#error "this module is written for interface version 1"
#endif]],
      [[return wasmrt_abi_version() != WASMRT_ABI_VERSION;]])],
      [ac_cv_wasm_runtime=yes], [ac_cv_wasm_runtime=no])
    CPPFLAGS="$save_CPPFLAGS"
    LIBS="$save_LIBS"
  ])
])

wasm_objects="dnl
mod_wasm.lo dnl
wasm_cgi.lo dnl
wasm_child.lo dnl
wasm_command.lo dnl
wasm_config.lo dnl
wasm_files.lo dnl
wasm_handler.lo dnl
wasm_headers.lo dnl
wasm_image.lo dnl
wasm_info.lo dnl
wasm_io.lo dnl
wasm_resources.lo dnl
wasm_status.lo dnl
"

APACHE_MODULE(wasm, WebAssembly programs in process, $wasm_objects, , no, [
  CHECK_WASM_RUNTIME
  if test "$ac_cv_wasm_runtime" = "yes"; then
    APR_ADDTO(MOD_INCLUDES, [$WASM_RUNTIME_CFLAGS])
    APR_ADDTO(MOD_WASM_LDADD, [$wasm_runtime_rpath $WASM_RUNTIME_LIBS])
  else
    AC_MSG_WARN([libwasm_runtime was not found; name its prefix with --with-wasm-runtime])
    enable_wasm=no
  fi
])

APACHE_MODPATH_FINISH
