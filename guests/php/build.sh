#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# build.sh OUTPUT.wasm
#
# Builds PHP (php-cgi with OPcache, docs/php.md) for WASI preview 1 from Debian's
# sources, in about 8 minutes on two cores. The result is kept in the user's cache folder
# under a key of all that goes into it; a second run copies it.
#
#   PHP_GUEST_WORK=DIR  build in DIR and keep it: unfinished steps go on where they were
#   MOD_WASM_FUNCTIONS=0  without mod_wasm's own functions, for other hosts

set -eu

say() { echo "php: $*"; }
die() { echo "php: $*" >&2; exit 1; }

output=$(realpath -m "$1")
PHP_GUEST_SOURCE=$(cd "$(dirname "$0")" && pwd)
functions=${MOD_WASM_FUNCTIONS:-1}
compiler=22

packages="clang-$compiler lld-$compiler llvm-$compiler libclang-rt-$compiler-dev-wasm32
    autoconf automake libtool pkg-config bison re2c cmake make patch xz-utils tcl"
missing=
for package in $packages; do
    case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true) in
        installed) ;;
        *) missing="$missing $package" ;;
    esac
done
if [ -n "$missing" ]; then
    say "installing$missing"
    sudo=
    [ "$(id -u)" -eq 0 ] || sudo=sudo
    $sudo apt-get -q update >/dev/null
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 \
        --no-install-recommends install $missing >/dev/null ||
        die "apt-get could not install$missing"
fi

cache=${XDG_CACHE_HOME:-$HOME/.cache}/mod_wasm/php
key=$({
    cd "$PHP_GUEST_SOURCE"
    find build.sh cc sources.lock number_handlers.awk start_image.c start_image.h patches posix -type f | LC_ALL=C sort | xargs sha256sum
    echo "functions $functions"
    clang-$compiler --version | head -n 1
} | sha256sum | cut -c1-24)
result=$cache/$key/php.wasm

deliver() {
    mkdir -p "$(dirname "$output")"
    cmp -s "$result" "$output" || cp "$result" "$output"
}
if [ -e "$result" ]; then
    deliver
    exit 0
fi

mkdir -p "$cache"
if [ -n "${PHP_GUEST_WORK:-}" ]; then
    mkdir -p "$PHP_GUEST_WORK"
    PHP_GUEST_WORK=$(cd "$PHP_GUEST_WORK" && pwd)
    scratch=
else
    PHP_GUEST_WORK=$(mktemp -d "$cache/work.XXXXXX")
    scratch=$PHP_GUEST_WORK
fi
export PHP_GUEST_WORK PHP_GUEST_SOURCE
# Dates in the binary are that of the PHP release, so that two builds are alike.
export SOURCE_DATE_EPOCH=1785300000 LC_ALL=C TZ=UTC
work=$PHP_GUEST_WORK
cc=$PHP_GUEST_SOURCE/cc
jobs=$(nproc)
common="-w -ffile-prefix-map=$work=/php -ffile-prefix-map=$PHP_GUEST_SOURCE=/php"

# run LOG COMMAND...: at low priority, its output in a file
run() {
    log=$work/$1.log
    shift
    nice -n 19 "$@" >"$log" 2>&1 || {
        tail -n 30 "$log" >&2
        die "failed; all of the output: $log"
    }
}

# unpack PACKAGE: the upstream source with Debian's patches, into $work/PACKAGE
unpack() {
    [ ! -e "$work/$1/.unpacked" ] || return 0
    rm -rf "$work/$1"
    mkdir -p "$work/$1"
    tar -xf "$(ls "$cache/sources/$1"_*.orig.tar.?z)" -C "$work/$1" --strip-components=1 --no-same-owner
    for packaging in "$cache/sources/$1"_*.debian.tar.?z; do
        [ -e "$packaging" ] || continue
        tar -xf "$packaging" -C "$work/$1" --no-same-owner
        while read -r name _; do
            case $name in '' | '#'*) continue ;; esac
            patch -s -f -d "$work/$1" -p1 <"$work/$1/debian/patches/$name" >>"$work/patches.log" ||
                die "$1: $name does not apply; see $work/patches.log"
        done <"$work/$1/debian/patches/series"
    done
    # All of one age, so that make does not regenerate what is shipped.
    find "$work/$1" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
    touch "$work/$1/.unpacked"
}

# library NAME OBJECT_DIRECTORY
library() {
    rm -f "$work/prefix/lib/lib$1.a"
    llvm-ar-$compiler rcsD "$work/prefix/lib/lib$1.a" "$2"/*.o
}

describe() {  # NAME VERSION LIBRARY: what pkg-config says
    cat >"$work/prefix/lib/pkgconfig/$1.pc" <<EOF
Name: $1
Description: $1
Version: $2
Libs: -L$work/prefix/lib $3
Cflags: -I$work/prefix/include${4:+/$4}
EOF
}

say "fetching the sources"
"$PHP_GUEST_SOURCE/fetch.sh" "$cache/sources"
mkdir -p "$work/prefix/lib/pkgconfig" "$work/prefix/include"

if [ ! -d "$work/sysroot" ]; then
    dpkg-deb -x "$(ls "$cache/sources"/wasi-libc_*.deb)" "$work/sysroot.deb"
    mv "$work/sysroot.deb/usr" "$work/sysroot"
fi

say "building the libraries"
mkdir -p "$work/posix"
for file in "$PHP_GUEST_SOURCE"/posix/*.c; do
    bulk=
    [ "${file##*/}" != strings.c ] || bulk='-mbulk-memory -mbulk-memory-opt -fno-builtin'
    # shellcheck disable=SC2086
    "$cc" -O2 -Wall -Wno-unused-parameter -Werror -DMOD_WASM_FUNCTIONS="$functions" $bulk -c "$file" \
        -o "$work/posix/$(basename "$file" .c).o"
done
rm -f "$work/posix/libposix.a"
(cd "$work/posix" && llvm-ar-$compiler rcsD libposix.a errors.o files.o links.o locks.o memory.o network.o process.o \
    strings.o time.o)

if [ ! -e "$work/prefix/lib/libz.a" ]; then
    unpack zlib
    mkdir -p "$work/objects/z"
    (cd "$work/objects/z" && run zlib sh -ec '
        for file in ../../zlib/*.c; do "$0" "$@" -O2 -DHAVE_UNISTD_H -c "$file"; done' "$cc" $common)
    cp "$work/zlib/zlib.h" "$work/zlib/zconf.h" "$work/prefix/include/"
    library z "$work/objects/z"
fi
describe zlib 1.3.1 -lz

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

if [ ! -e "$work/prefix/lib/libsqlite3.a" ]; then
    unpack sqlite3
    patch -s -f -d "$work/sqlite3" -p1 <"$PHP_GUEST_SOURCE/patches/sqlite3.patch"
    mkdir -p "$work/objects/sqlite" "$work/objects/sqlite-source"
    (cd "$work/objects/sqlite-source" && run sqlite-configure "$work/sqlite3/configure" --disable-tcl &&
        run sqlite-source make sqlite3.c sqlite3.h)
    # One thread; no shared memory between instances, so no write-ahead log. Locks as on
    # Unix: for WASI, SQLite would make FILE.lock directories.
    (cd "$work/objects/sqlite" && run sqlite "$cc" $common -O2 -c ../sqlite-source/sqlite3.c \
        -DSQLITE_THREADSAFE=0 -DSQLITE_OMIT_LOAD_EXTENSION -DSQLITE_OMIT_WAL -DSQLITE_MAX_MMAP_SIZE=0 \
        -DSQLITE_ENABLE_COLUMN_METADATA -DSQLITE_ENABLE_FTS3 -DSQLITE_ENABLE_FTS3_PARENTHESIS -DSQLITE_ENABLE_FTS4 \
        -DSQLITE_ENABLE_FTS5 -DSQLITE_ENABLE_RTREE -DSQLITE_ENABLE_MATH_FUNCTIONS -DSQLITE_ENABLE_DBSTAT_VTAB \
        -DSQLITE_DEFAULT_UNIX_VFS='"unix"' -DHAVE_USLEEP=1 -DHAVE_FDATASYNC=1 -DHAVE_GMTIME_R=1 -DHAVE_LOCALTIME_R=1)
    cp "$work/objects/sqlite-source/sqlite3.h" "$work/prefix/include/"
    library sqlite3 "$work/objects/sqlite"
fi
describe sqlite3 3.46.1 -lsqlite3

posix_libraries="-L$work/posix -lposix -lsetjmp -lwasi-emulated-signal -lwasi-emulated-getpid -lwasi-emulated-process-clocks"
tools="CC=$cc AR=llvm-ar-$compiler RANLIB=llvm-ranlib-$compiler NM=llvm-nm-$compiler"
triplet="--build=x86_64-linux-gnu --host=wasm32-unknown-wasi"

if [ ! -e "$work/prefix/lib/libxml2.a" ]; then
    unpack libxml2
    unpack php8.4
    cp "$work/php8.4/build/config.sub" "$work/php8.4/build/config.guess" "$work/libxml2/"
    mkdir -p "$work/objects/xml2"
    cd "$work/objects/xml2"
    run libxml2-configure env PHP_GUEST_CC=probe $tools CFLAGS="-O2 $common" LIBS="$posix_libraries" \
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
    patch -s -f -d "$work/php8.4" -p1 <"$PHP_GUEST_SOURCE/patches/php.patch"
    handlers=$work/php8.4/Zend/zend_vm_execute.h
    awk -f "$PHP_GUEST_SOURCE/number_handlers.awk" "$handlers" "$handlers" >"$work/zend_vm_execute.h"
    mv "$work/zend_vm_execute.h" "$work/php8.4/Zend/"
    (cd "$work/php8.4" && run php-buildconf ./buildconf --force)
    touch "$work/php8.4/.patched"
fi
cp -u "$PHP_GUEST_SOURCE/start_image.c" "$PHP_GUEST_SOURCE/start_image.h" "$work/php8.4/sapi/cgi/"
mkdir -p "$work/php"
cd "$work/php"
if [ ! -e Makefile ]; then
    # What configure would have to run a program for, or finds by its name only. mmap() serves
    # OPcache; PHP's streams shall not read whole files by it.
    run php-configure env PHP_GUEST_CC=probe $tools PKG_CONFIG_LIBDIR="$work/prefix/lib/pkgconfig" \
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
    sed -i "s#$work#/php#g; s#$PHP_GUEST_SOURCE#/php#g" main/build-defs.h
fi
run php env PHP_GUEST_CC=guest make -j "$jobs" cgi
mkdir -p "$cache/$key"
cp sapi/cgi/php-cgi "$cache/$key/php.wasm.new"
mv "$cache/$key/php.wasm.new" "$result"
cd /
[ -z "$scratch" ] || rm -rf "$scratch"
deliver
say "built $(stat -c %s "$result") bytes"
