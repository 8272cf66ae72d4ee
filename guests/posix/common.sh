# SPDX-License-Identifier: Apache-2.0
#
# Read by the build.sh of each guest: what their builds share. Before, these are set:
#   name     of the guest, in messages and of its folder in the cache
#   source   the folder of its build.sh
#   inputs   files and folders there that go into the result, besides build.sh and sources.lock
#   output   where the result goes
#   result   the name of the result's file or folder in the cache
#   packages Debian packages that the build needs besides those named here
#
# The result is kept in the user's cache folder under a key of all that goes into it; if it is
# there, begin() copies it and ends.
#
# GUEST_WORK=DIR        build in DIR and keep it: unfinished steps go on where they were
# MOD_WASM_FUNCTIONS=0  without mod_wasm's own functions, for other hosts

say() { echo "$name: $*"; }
die() { echo "$name: $*" >&2; exit 1; }

compiler=22
functions=${MOD_WASM_FUNCTIONS:-1}
posix=$(cd "$source/../posix" && pwd)
cc=$posix/cc
jobs=$(nproc)
caches=${XDG_CACHE_HOME:-$HOME/.cache}/mod_wasm
archives=$caches/guest-sources
tools="CC=$cc AR=llvm-ar-$compiler RANLIB=llvm-ranlib-$compiler NM=llvm-nm-$compiler"
# Dates in a binary are that of the sources, so that two builds are alike.
export SOURCE_DATE_EPOCH=1785300000 LC_ALL=C TZ=UTC

install_packages() {
    missing=
    for package in clang-$compiler lld-$compiler llvm-$compiler libclang-rt-$compiler-dev-wasm32 \
        make patch xz-utils tcl $packages; do
        case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true) in
            installed) ;;
            *) missing="$missing $package" ;;
        esac
    done
    [ -n "$missing" ] || return 0
    say "installing$missing"
    sudo=
    [ "$(id -u)" -eq 0 ] || sudo=sudo
    $sudo apt-get -q update >/dev/null
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 \
        --no-install-recommends install $missing >/dev/null ||
        die "apt-get could not install$missing"
}

# Copies the result, if its content is not there already.
deliver() {
    diff -rq "$kept/$result" "$output" >/dev/null 2>&1 && return 0
    mkdir -p "$(dirname "$output")"
    rm -rf "$output"
    cp -r "$kept/$result" "$output"
}

begin() {
    install_packages
    key=$({
        (cd "$source" && find build.sh sources.lock $inputs -type f | LC_ALL=C sort | xargs sha256sum)
        (cd "$posix" && find . -type f | LC_ALL=C sort | xargs sha256sum)
        echo "functions $functions"
        clang-$compiler --version | head -n 1
    } | sha256sum | cut -c1-24)
    kept=$caches/$name/$key
    if [ -e "$kept/$result" ]; then
        deliver
        exit 0
    fi
    mkdir -p "$caches/$name"
    scratch=
    if [ -n "${GUEST_WORK:-}" ]; then
        mkdir -p "$GUEST_WORK"
        GUEST_WORK=$(cd "$GUEST_WORK" && pwd)
    else
        GUEST_WORK=$(mktemp -d "$caches/$name/work.XXXXXX")
        scratch=$GUEST_WORK
    fi
    export GUEST_WORK
    work=$GUEST_WORK
    common="-w -ffile-prefix-map=$work=/$name -ffile-prefix-map=$source=/$name -ffile-prefix-map=$posix=/$name/posix"
    say "fetching the sources"
    "$posix/fetch.sh" "$archives" "$posix/sources.lock"
    "$posix/fetch.sh" "$archives" "$source/sources.lock"
    mkdir -p "$work/prefix/lib/pkgconfig" "$work/prefix/include"
    if [ ! -d "$work/sysroot" ]; then
        dpkg-deb -x "$(ls "$archives"/wasi-libc_*.deb)" "$work/sysroot.deb"
        mv "$work/sysroot.deb/usr" "$work/sysroot"
    fi
}

# finish FILE: keeps the result, and delivers it.
finish() {
    mkdir -p "$kept"
    rm -rf "$kept/$result.new"
    cp -r "$1" "$kept/$result.new"
    mv "$kept/$result.new" "$kept/$result"
    cd /
    [ -z "$scratch" ] || rm -rf "$scratch"
    deliver
    say "built $(du -sbh "$output" | cut -f1)"
}

# run LOG COMMAND...: at low priority, its output in a file
run() {
    log=$work/$1.log
    shift
    nice -n 19 "$@" >"$log" 2>&1 || {
        tail -n 30 "$log" >&2
        die "failed; all of the output: $log"
    }
}

# unpack PACKAGE [PATTERN]: the upstream source with Debian's patches, or those of them whose names
# match PATTERN, into $work/PACKAGE
unpack() {
    [ ! -e "$work/$1/.unpacked" ] || return 0
    rm -rf "$work/$1"
    mkdir -p "$work/$1"
    tar -xf "$(ls "$archives/$1"_*.orig.tar.?z)" -C "$work/$1" --strip-components=1 --no-same-owner
    for packaging in "$archives/$1"_*.debian.tar.?z; do
        [ -e "$packaging" ] || continue
        tar -xf "$packaging" -C "$work/$1" --no-same-owner
        grep -E "^(${2:-[^#]})" "$work/$1/debian/patches/series" | while read -r file _; do
            patch -s -f -d "$work/$1" -p1 <"$work/$1/debian/patches/$file" >>"$work/patches.log" ||
                die "$1: $file does not apply; see $work/patches.log"
        done
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
    cat >"$work/prefix/lib/pkgconfig/$1.pc" <<END
Name: $1
Description: $1
Version: $2
Libs: -L$work/prefix/lib $3
Cflags: -I$work/prefix/include${4:+/$4}
END
}

# The libraries that every guest has: what wasi-libc leaves out of POSIX, zlib, SQLite.
build_libraries() {
    mkdir -p "$work/posix"
    for file in "$posix"/*.c; do
        bulk=
        [ "${file##*/}" != strings.c ] || bulk='-mbulk-memory -mbulk-memory-opt -fno-builtin'
        # shellcheck disable=SC2086
        "$cc" -O2 -Wall -Wno-unused-parameter -Werror -DMOD_WASM_FUNCTIONS="$functions" $bulk -c "$file" \
            -o "$work/posix/$(basename "$file" .c).o"
    done
    rm -f "$work/posix/libposix.a"
    (cd "$work/posix" && llvm-ar-$compiler rcsD libposix.a errors.o files.o links.o locks.o memory.o network.o process.o \
        strings.o time.o)
    posix_libraries="-L$work/posix -lposix -lsetjmp -lwasi-emulated-signal -lwasi-emulated-getpid -lwasi-emulated-process-clocks"

    if [ ! -e "$work/prefix/lib/libz.a" ]; then
        unpack zlib
        mkdir -p "$work/objects/z"
        (cd "$work/objects/z" && run zlib sh -ec '
            for file in ../../zlib/*.c; do "$0" "$@" -O2 -DHAVE_UNISTD_H -c "$file"; done' "$cc" $common)
        cp "$work/zlib/zlib.h" "$work/zlib/zconf.h" "$work/prefix/include/"
        library z "$work/objects/z"
    fi
    describe zlib 1.3.1 -lz

    if [ ! -e "$work/prefix/lib/libsqlite3.a" ]; then
        unpack sqlite3
        patch -s -f -d "$work/sqlite3" -p1 <"$posix/patches/sqlite3.patch"
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
}
