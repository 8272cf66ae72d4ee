#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# build_wasmtime_wasi.sh
#
# Builds deps/wasmtime once more with Wasmtime's own WASI host, which is a peer
# in the benchmarks and nothing else. Takes 5 to 10 minutes once a machine; the
# result lies in the user's cache folder. Prints its prefix.

set -eu

crate=$(cd "$(dirname "$0")/../deps/wasmtime" && pwd)
rust=$(rustc --version 2>/dev/null | cut -d' ' -f2 || true)
cargo=cargo
if [ "$(printf '%s\n1.95\n' "${rust:-0}" | sort -V | head -n 1)" != 1.95 ]; then
    RUSTC=/usr/bin/rustc cargo=/usr/bin/cargo
    export RUSTC
fi
key=$( { "${RUSTC:-rustc}" -vV; cat "$0" "$crate/Cargo.toml" "$crate/Cargo.lock" "$crate"/src/*.rs; } |
    sha256sum | cut -c1-16)
prefix=${XDG_CACHE_HOME:-$HOME/.cache}/mod_wasm/wasmtime/wasi-$key

if [ ! -e "$prefix/lib/libwasmtime.a" ]; then
    mkdir -p "$prefix/lib"
    echo "Building Wasmtime with its own WASI (once for this machine, 5 to 10 minutes)" >&2
    CARGO_TARGET_DIR=$prefix/target "$cargo" build --release --locked --features wasi \
        --manifest-path "$crate/Cargo.toml" >&2
    # What other platforms need was not downloaded.
    platform=$("${RUSTC:-rustc}" -vV | sed -n 's/^host: //p')
    headers=$("$cargo" metadata --locked --offline --filter-platform "$platform" --format-version 1 \
        --manifest-path "$crate/Cargo.toml" |
        python3 -c 'import json, os, sys; print(*[os.path.dirname(p["manifest_path"]) for p in json.load(sys.stdin)["packages"] if p["name"] == "wasmtime-c-api-impl"])')
    cp -r "$headers/include" "$prefix/"
    # Which parts of the API are declared: those that were built.
    features="compiler wasi $(sed -n '/^features = \[/,/^\]/s/^ *"\(.*\)",$/\1/p' "$crate/Cargo.toml")"
    for feature in $features; do
        echo "#define WASMTIME_FEATURE_$(echo "$feature" | tr 'a-z-' 'A-Z_')"
    done >"$prefix/include/wasmtime/conf.h"
    cp "$prefix/target/release/libwasmtime.a" "$prefix/lib/libwasmtime.a.new"
    mv "$prefix/lib/libwasmtime.a.new" "$prefix/lib/libwasmtime.a"
    rm -rf "$prefix/target"
fi
echo "$prefix"
