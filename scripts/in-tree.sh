#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# in-tree.sh: shows that modules/wasm drops into httpd's source tree.
#
# Takes httpd's source (HTTPD_SOURCE, or what `apt-get source apache2` gives),
# adds the module and its manual page, makes configure anew and builds httpd
# in maintainer mode twice, with the module shared and static. Each httpd is
# installed, checked and asked for one page that a guest writes. Any warning of
# the compiler is a failure.
#
# Leaves in build/in-tree: the patch one would send, and the logs. Needs
# build/release (`make build`).

set -euo pipefail

cd "$(dirname "$0")/.."
top=$PWD
out=$top/build/in-tree
say() { echo "in-tree: $*"; }
die() { echo "in-tree.sh: $*" >&2; exit 1; }

for tool in autoconf automake libtoolize pcre2-config apr-1-config apu-1-config git curl; do
    command -v $tool >/dev/null || die "$tool is missing: install autoconf automake libtool libpcre2-dev libapr1-dev libaprutil1-dev git curl"
done
[ -e build/release/libwasm_runtime.so ] || die "build/release has no libwasm_runtime.so: run make build first"
source=${HTTPD_SOURCE:-$(scripts/fetch_httpd_source.sh)}
[ -e "$source/buildconf" ] || die "$source is not httpd's source"

work=$(mktemp -d "${TMPDIR:-/tmp}/mod_wasm-in-tree.XXXXXX")
chmod 755 "$work"
server=
cleanup() {
    if [ -n "$server" ]; then
        kill -TERM "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP
rm -rf "$out"
mkdir -p "$out"

logged() { # NAME COMMAND...
    local log=$out/$1.log
    shift
    "$@" >"$log" 2>&1 || { { grep -E '(error|warning):' "$log" || tail -n 30 "$log"; } >&2; die "failed: $* (see $log)"; }
}

say "the runtime goes into a prefix of its own"
logged runtime env DESTDIR="$work/runtime" cmake --install build/release --prefix /
runtime=$work/runtime

say "the patch"
mkdir "$work/httpd"
(cd "$source" && tar -c --exclude=./.git .) | tar -x -C "$work/httpd"
cd "$work/httpd"
git init -q -b trunk
git config user.name "$(git -C "$top" config user.name || echo mod_wasm)"
git config user.email "$(git -C "$top" config user.email || echo mod_wasm@localhost)"
git config core.autocrlf false
git add -f -A
git commit -q -m "httpd as it is"
mkdir -p modules/wasm changes-entries docs/manual/mod
cp "$top"/modules/wasm/{*.c,*.h,config.m4,Makefile.in} modules/wasm/
cp "$top/docs/manual/mod/mod_wasm.xml" docs/manual/mod/
cp "$top/docs/changes-entries/mod_wasm.txt" changes-entries/
# A checkout has these, a release has not.
if [ -e docs/manual/mod/allmodules.xml ]; then
    sed -i '/<modulefile>mod_watchdog.xml</i\  <modulefile>mod_wasm.xml</modulefile>' docs/manual/mod/allmodules.xml
fi
if [ -e docs/log-message-tags/next-number ]; then
    last=$(grep -ho 'APLOGNO([0-9]*)' modules/wasm/*.c | tr -dc '0-9\n' | sort -n | tail -n 1)
    [ "$(cat docs/log-message-tags/next-number)" -gt "$last" ] || echo $((last + 1)) >docs/log-message-tags/next-number
fi
git add -f -A
git commit -q -m "mod_wasm: Run WebAssembly programs in the server's processes." \
    -m "A route is bound to a module file (WASI preview 1); each request runs in an
instance of its own, on the request's thread. The engine is behind the C
interface of libwasm_runtime, which configure looks for."
git show --check --format= HEAD >"$out/whitespace.log" || { cat "$out/whitespace.log" >&2; die "the patch has bad white space"; }
git format-patch -q -1 -o "$out"

# What reviewers ask for first.
doubled=$(for file in modules/wasm/*; do awk -v f="$file" '/^$/ {if (blank) {print f ":" FNR; exit} blank = 1; next} {blank = 0}' "$file"; done)
[ -z "$doubled" ] || die "doubled blank lines: $doubled"
! grep -nE '(^|[^:"])//' modules/wasm/*.[ch] >&2 || die "comments that are not C89"
! grep -nE 'APLOG_NOTICE' modules/wasm/*.c | grep -iE 'trace|entering|called' >&2 || die "tracing at level notice"
! grep -n 'APLOGNO()' modules/wasm/*.c >&2 || die "log messages without a number"
repeated=$(grep -ho 'APLOGNO([0-9]*)' modules/wasm/*.c | sort | uniq -d)
[ -z "$repeated" ] || die "log numbers given twice: $repeated"
taken=$(git grep -ho 'APLOGNO([0-9]*)' HEAD~1 -- '*.c' '*.h' | sort -u |
    grep -Fx -f <(grep -ho 'APLOGNO([0-9]*)' modules/wasm/*.c) || true)
[ -z "$taken" ] || die "log numbers that httpd has given to others: $taken"
if [ -x docs/log-message-tags/update-log-msg-tags ]; then
    logged log-numbers docs/log-message-tags/update-log-msg-tags modules/wasm/*.c
    git diff --quiet || die "httpd's tool for log numbers would change the module's files"
    rm -f docs/log-message-tags/list
fi

say "buildconf"
logged buildconf ./buildconf --with-apr="$(command -v apr-1-config)"

make -s -C "$top/guests" OUT="$work/guests" "$work/guests/hello.wasm"

for kind in shared static; do
    prefix=$work/$kind
    build=$work/build-$kind
    mkdir "$build"
    cd "$build"
    say "$kind: configure"
    logged $kind-configure "$work/httpd/configure" --prefix="$prefix" --enable-maintainer-mode \
        --enable-modules=few --enable-mpms-shared='event worker prefork' \
        --with-apr="$(command -v apr-1-config)" --with-apr-util="$(command -v apu-1-config)" \
        --enable-wasm=$kind --with-wasm-runtime="$runtime"
    grep -q "checking for libwasm_runtime... yes" "$out/$kind-configure.log" || die "configure did not find the runtime"
    say "$kind: build"
    logged $kind-build make -j "$(nproc)"
    ! grep -n 'warning:' "$out/$kind-build.log" >&2 || die "the build gave warnings"
    logged $kind-install make install

    httpd=$prefix/bin/httpd
    if [ $kind = static ]; then
        "$httpd" -l | grep -q mod_wasm.c || die "mod_wasm is not in the static httpd"
        load=
    else
        load='LoadModule wasm_module modules/mod_wasm.so'
    fi
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    identity=
    [ "$(id -u)" -ne 0 ] || identity=$'User nobody\nGroup nogroup'
    cat >"$work/$kind.conf" <<CONF
ServerRoot "$prefix"
ServerName localhost
Listen 127.0.0.1:$port
PidFile "$work/$kind.pid"
ErrorLog "$out/$kind-error.log"
LogLevel warn wasm:info
$identity
LoadModule mpm_event_module modules/mod_mpm_event.so
$load
<IfModule !mod_unixd.c>
    LoadModule unixd_module modules/mod_unixd.so
</IfModule>
<IfModule !mod_authz_core.c>
    LoadModule authz_core_module modules/mod_authz_core.so
</IfModule>
WasmCacheDir "$work/cache"
WasmCompiler "$runtime/bin/wasmctl"
<Location "/hello">
    SetHandler wasm-handler
    WasmModule "$work/guests/hello.wasm"
    WasmEnableCGI On
</Location>
CONF
    logged $kind-syntax "$httpd" -t -f "$work/$kind.conf"
    setsid "$httpd" -f "$work/$kind.conf" -DFOREGROUND </dev/null >"$out/$kind-httpd.log" 2>&1 &
    server=$!
    curl -s --retry 60 --retry-delay 1 --retry-connrefused -o "$out/$kind-page.html" -w '%{http_code}\n' \
        "http://127.0.0.1:$port/hello" >"$out/$kind-status" || true
    [ "$(cat "$out/$kind-status")" = 200 ] ||
        { cat "$out/$kind-httpd.log" "$out/$kind-error.log" >&2; die "the $kind httpd did not serve the guest's page"; }
    kill -TERM "$server"
    wait "$server" || true
    server=
    ! grep -E ':(error|crit|alert|emerg)\]' "$out/$kind-error.log" >&2 || die "errors in the $kind httpd's log"
    say "$kind: httpd serves the guest's page"
done
say "done; the patch is build/in-tree/$(basename "$out"/*.patch)"
