#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# build_rust_guest.sh PROJECT OUTPUT
#
# Builds a Rust project for wasm32-wasip1. Where the toolchain has no standard
# library for that target (Debian's has not), the library is built along from
# Debian's rust-web-src and linked against Debian's wasi-libc; that takes about
# a minute, so the result is kept in the user's cache folder under a key of
# sources and compiler.

set -eu

project=$1
output=$2
cache=${XDG_CACHE_HOME:-$HOME/.cache}/mod_wasm/guests
target=wasm32-wasip1

if [ -d "$(rustc --print target-libdir --target $target 2>/dev/null)" ]; then
    rustc=rustc cargo=cargo build_std=
else
    rustc=/usr/bin/rustc cargo=/usr/bin/cargo build_std=-Zbuild-std=std,panic_abort
    # Names the linker of whichever LLVM the compiler was packaged with.
    linker=$(ls /usr/bin/wasm-ld-[0-9]* 2>/dev/null | sort -V | tail -n 1)
    for file in "$rustc" "$cargo" "$linker" /usr/lib/wasm32-wasi/crt1-command.o; do
        if [ ! -e "$file" ]; then
            echo "build_rust_guest.sh: ${file:-wasm-ld} is missing: install rustc-web cargo-web rust-web-src lld-22 wasi-libc" >&2
            exit 1
        fi
    done
    export RUSTC_BOOTSTRAP=1 RUSTC=$rustc
    export CARGO_TARGET_WASM32_WASIP1_LINKER="$linker"
    export CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS="-L native=/usr/lib/wasm32-wasi -C link-self-contained=no -C link-arg=/usr/lib/wasm32-wasi/crt1-command.o"
fi

key=$( { "$rustc" -vV; cat "$0" "$project/Cargo.toml" "$project/Cargo.lock" "$project"/src/*.rs; } |
    sha256sum | cut -c1-32)
kept=$cache/rust-$key.wasm
if [ ! -f "$kept" ]; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT INT TERM
    echo "Building $project for $target${build_std:+ with its standard library (about a minute)}"
    # RUSTFLAGS of the caller would reach a toolchain it was not meant for.
    env -u RUSTFLAGS -u CARGO_BUILD_TARGET -u RUSTUP_TOOLCHAIN CARGO_TARGET_DIR="$work" \
        "$cargo" build --quiet --locked --release $build_std --target $target \
        --manifest-path "$project/Cargo.toml"
    mkdir -p "$cache"
    cp "$work/$target/release/$(basename "$output")" "$kept.$$"
    mv "$kept.$$" "$kept"
fi
mkdir -p "$(dirname "$output")"
cp "$kept" "$output"
