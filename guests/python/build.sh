#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# build.sh OUTPUT_DIRECTORY
#
# Builds CPython (docs/python.md) for WASI preview 1 from Debian's sources, in about 4 minutes on two
# cores: python.wasm, and its standard library in lib/. The result is kept; a second run copies it.
# What can be set in the environment: ../posix/common.sh.

set -eu

output=$(realpath -m "$1")
source=$(cd "$(dirname "$0")" && pwd)
name=python
result=cpython
inputs="python.c compile.py patches"
packages="gcc libc6-dev pkg-config"
version=3.13
. "$source/../posix/common.sh"

begin
say "building the libraries"
build_libraries

# Of Debian's patches those that correct errors; the others are for its own layout.
unpack python$version 'CVE-|dict-use-after-free|traverse-managed-dicts'
python=$work/python$version

# CPython is made by a CPython of the same version: it compiles what is frozen, and the library.
say "building CPython for this machine, as a tool"
if [ ! -e "$work/native/python" ]; then
    rm -rf "$work/native"
    mkdir "$work/native"
    cd "$work/native"
    run native-configure "$python/configure" --without-ensurepip --disable-test-modules CFLAGS=-O1
    run native make -j "$jobs" python
fi
native="$work/native/python -E -S"

say "building CPython"
if [ ! -e "$python/.patched" ]; then
    patch -s -f -d "$python" -p1 <"$source/patches/python.patch"
    run freeze $native "$python/Tools/build/freeze_modules.py"
    touch "$python/.patched"
fi
cp -u "$source/python.c" "$python/Programs/"

each() { # FORMAT NAME...
    format=$1
    shift
    printf "$format\n" "$@"
}
mkdir -p "$work/python/Modules"
cd "$work/python"
if [ ! -e Makefile ]; then
    {
        # CPython's own file for WASI, but for what posix/ has.
        grep -v chmod "$python/Tools/wasm/config.site-wasm32-wasi"
        each ac_cv_func_%s=yes chmod fchmod umask dup dup2 getuid geteuid getgid getegid getppid
        # What posix/ has by name only: CPython's modules ask whether there is a function.
        each ac_cv_func_%s=no fork vfork fork1 execv fexecve posix_spawn posix_spawnp system pipe pipe2 kill killpg nice \
            setsid getsid pthread_sigmask setpgid getpgid setpgrp getpgrp wait waitpid wait3 wait4 waitid getloadavg mkfifo mkfifoat mknod \
            mknodat sigaction sigaltstack alarm setitimer getitimer setuid setgid setreuid setregid getgroups setgroups \
            initgroups getrusage chroot socketpair mmap shm_open lchown lchmod fchmodat fchdir ttyname
    } >config.site
    # For WASI, configure leaves it out.
    echo 'fcntl fcntlmodule.c' >Modules/Setup.local
    run python-configure env GUEST_CC=probe $tools CPP="$cc -E" READELF=true CONFIG_SITE="$work/python/config.site" \
        PKG_CONFIG_LIBDIR="$work/prefix/lib/pkgconfig" CFLAGS="-O3 -DUSE_STACKCHECK $common -I$work/prefix/include" LIBS="$posix_libraries" \
        "$python/configure" --build=x86_64-linux-gnu --host=wasm32-unknown-wasip1 --with-build-python="$work/native/python" \
        --prefix=/python --with-pymalloc --without-mimalloc --without-ensurepip --without-readline --disable-test-modules
fi
run python env GUEST_CC=guest make -j "$jobs" python.wasm pybuilddir.txt

say "compiling the standard library"
rm -rf "$work/cpython"
lib=$work/cpython/lib/python$version
mkdir -p "$lib/lib-dynload" "$lib/site-packages"
cp -r "$python/Lib/." "$lib/"
# Tests, and what needs a terminal, a window or processes of its own.
(cd "$lib" && rm -rf test idlelib tkinter turtle.py turtledemo ensurepip venv __phello__ __pycache__ curses pydoc_data)
for file in "$(cat pybuilddir.txt)"/_sysconfigdata*.py; do
    sed "s#$work#/build#g; s#$posix#/build#g" "$file" >"$lib/${file##*/}"
done
run library $native "$source/compile.py" "$lib" "/python/lib/python$version"
cp python.wasm "$work/cpython/"
find "$work/cpython" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
finish "$work/cpython"
