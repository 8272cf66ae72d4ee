#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# build.sh OUTPUT.wasm
#
# Builds PHP (php-cgi with OPcache, docs/php.md) for WASI preview 1 from Debian's
# sources, in about 8 minutes on two cores. The result is kept; a second run copies it.
# What can be set in the environment: ../posix/common.sh.

set -eu

output=$(realpath -m "$1")
source=$(cd "$(dirname "$0")" && pwd)
name=php
result=php.wasm
inputs="number_handlers.awk start_image.c start_image.h patches"
packages="autoconf automake libtool pkg-config bison re2c cmake"
. "$source/../posix/common.sh"

begin
say "building the libraries"
build_libraries

if [ ! -e "$work/prefix/lib/libpng16.a" ]; then
    unpack libpng1.6
    mkdir -p "$work/objects/png"
    cp "$work/libpng1.6/scripts/pnglibconf.h.prebuilt" "$work/libpng1.6/pnglibconf.h"
    (cd "$work/objects/png" && run libpng sh -ec '
        for part in "" error get mem pread read rio rtran rutil set trans wio write wtran wutil; do
            "$0" "$@" -O2 -c "../../libpng1.6/png$part.c"
        done' "$cc" $common -I"$work/prefix/include")
    (cd "$work/libpng1.6" && cp png.h pngconf.h pnglibconf.h "$work/prefix/include/")
    library png16 "$work/objects/png"
fi
describe libpng 1.6.48 "-lpng16 -lz -lm"

if [ ! -e "$work/prefix/lib/libjpeg.a" ]; then
    unpack libjpeg-turbo
    run libjpeg-configure cmake -S "$work/libjpeg-turbo" -B "$work/objects/jpeg" -G "Unix Makefiles" \
        -DCMAKE_SYSTEM_NAME=Generic -DCMAKE_SYSTEM_PROCESSOR=wasm32 -DCMAKE_C_COMPILER="$cc" \
        -DCMAKE_C_COMPILER_WORKS=1 -DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY \
        -DCMAKE_AR=/usr/bin/llvm-ar-$compiler -DCMAKE_RANLIB=/usr/bin/llvm-ranlib-$compiler \
        -DCMAKE_C_FLAGS="$common" -DCMAKE_BUILD_TYPE=Release -DBUILD=0 \
        -DENABLE_SHARED=0 -DWITH_SIMD=0 -DWITH_TURBOJPEG=0
    run libjpeg make -C "$work/objects/jpeg" -j "$jobs" jpeg-static
    cp "$work/objects/jpeg/libjpeg.a" "$work/prefix/lib/"
    (cd "$work/libjpeg-turbo" && cp jpeglib.h jerror.h jmorecfg.h ../objects/jpeg/jconfig.h "$work/prefix/include/")
fi
describe libjpeg 2.1.5 -ljpeg

triplet="--build=x86_64-linux-gnu --host=wasm32-unknown-wasi"

if [ ! -e "$work/prefix/lib/libxml2.a" ]; then
    unpack libxml2
    unpack php8.4
    cp "$work/php8.4/build/config.sub" "$work/php8.4/build/config.guess" "$work/libxml2/"
    mkdir -p "$work/objects/xml2"
    cd "$work/objects/xml2"
    run libxml2-configure env GUEST_CC=probe $tools CFLAGS="-O2 $common" LIBS="$posix_libraries" \
        "$work/libxml2/configure" $triplet --disable-shared --without-threads --without-http --without-ftp \
        --without-python --without-zlib --without-lzma --without-iconv
    run libxml2 make -j "$jobs" libxml2.la
    cd "$work"
    mkdir -p "$work/prefix/include/libxml2"
    cp -r "$work/libxml2/include/libxml" "$work/prefix/include/libxml2/"
    cp "$work/objects/xml2/include/libxml/xmlversion.h" "$work/prefix/include/libxml2/libxml/"
    cp "$work/objects/xml2/.libs/libxml2.a" "$work/prefix/lib/"
fi
describe libxml-2.0 2.9.14 "-lxml2 -lm" libxml2

say "building PHP"
unpack php8.4
if [ ! -e "$work/php8.4/.patched" ]; then
    patch -s -f -d "$work/php8.4" -p1 <"$source/patches/php.patch"
    handlers=$work/php8.4/Zend/zend_vm_execute.h
    awk -f "$source/number_handlers.awk" "$handlers" "$handlers" >"$work/zend_vm_execute.h"
    mv "$work/zend_vm_execute.h" "$work/php8.4/Zend/"
    (cd "$work/php8.4" && run php-buildconf ./buildconf --force)
    touch "$work/php8.4/.patched"
fi
cp -u "$source/start_image.c" "$source/start_image.h" "$work/php8.4/sapi/cgi/"
mkdir -p "$work/php"
cd "$work/php"
if [ ! -e Makefile ]; then
    # What configure would have to run a program for, or finds by its name only. mmap() serves
    # OPcache; PHP's streams shall not read whole files by it.
    run php-configure env GUEST_CC=probe $tools PKG_CONFIG_LIBDIR="$work/prefix/lib/pkgconfig" \
        CFLAGS="-O3 $common" LIBS="$posix_libraries" PHP_UNAME="WASI preview1 wasm32" PHP_BUILD_SYSTEM=mod_wasm \
        php_cv_cc_rpath=no php_cv_shm_mmap_anon=yes php_cv_have_write_stdout=yes php_cv_func_pread=yes \
        php_cv_func_pwrite=yes ac_cv_func_fnmatch_works=yes ac_cv_func_getpid=yes ac_cv_func_mmap=no ac_cv_func_fork=no ac_cv_func_setitimer=no ac_cv_func_sigaction=no \
        ac_cv_func_kill=no ac_cv_func_mkfifo=no ac_cv_func_mknod=no ac_cv_func_socketpair=no ac_cv_func_chroot=no ac_cv_func_getloadavg=no \
        ac_cv_func_getaddrinfo=no ac_cv_func_sigsetjmp=yes ac_cv_func_mprotect=no php_cv_have_stack_limit=yes \
        "$work/php8.4/configure" $triplet --prefix=/usr --with-config-file-path=/etc/php \
        --disable-all --disable-cli --disable-phpdbg --enable-cgi --disable-rpath \
        --enable-opcache --disable-opcache-jit --disable-huge-code-pages --without-pcre-jit --disable-fiber-asm \
        --disable-zend-signals --enable-ctype --enable-tokenizer --enable-session --enable-filter --enable-posix \
        --enable-mbstring --disable-mbregex --enable-bcmath --enable-calendar --enable-fileinfo --enable-phar \
        --with-sqlite3 --enable-pdo --with-pdo-sqlite --with-zlib --with-iconv --enable-gd --with-jpeg --enable-exif \
        --with-libxml --enable-dom --enable-simplexml --enable-xml --enable-xmlreader --enable-xmlwriter
    # phpinfo() shows it: the directory of this build would make it another one.
    sed -i "s#$work#/php#g; s#$source#/php#g; s#$posix#/php#g" main/build-defs.h
fi
run php env GUEST_CC=guest make -j "$jobs" cgi
finish sapi/cgi/php-cgi
