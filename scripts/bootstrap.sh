#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# bootstrap.sh [PACKAGE…]
#
# Installs the Debian packages that building, serving and testing need, and
# those that are named, if any is missing. Asks nothing; a second run changes
# nothing. No package of its own list starts a service.

set -eu

say() { echo "bootstrap: $*"; }
die() { echo "bootstrap.sh: $*" >&2; exit 1; }

packages="
apache2-bin apache2-dev apache2-utils
cmake ninja-build make g++ pkg-config libssl-dev libgtest-dev
clang lld wasi-libc libclang-rt-14-dev-wasm32 libc++-14-dev-wasm32 libc++abi-14-dev-wasm32 wabt
python3 python3-pytest python3-prometheus-client nghttp2-client curl ca-certificates openssl git
$*
"

# Is the first version at least the second?
at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]; }

# The engine needs Rust 1.95. Debian 12 has a newer one beside its old one.
rust=$(rustc --version 2>/dev/null | cut -d' ' -f2 || true)
if [ -z "$rust" ] || ! at_least "$rust" 1.95; then
    say "Rust is ${rust:-missing}, 1.95 is needed: using Debian's rustc-web"
    packages="$packages rustc-web cargo-web"
fi
# The Rust guest needs a standard library for WASI, or the sources of one.
if ! [ -d "$(rustc --print target-libdir --target wasm32-wasip1 2>/dev/null)" ]; then
    packages="$packages rustc-web cargo-web rust-web-src lld-22"
fi
command -v npm >/dev/null || packages="$packages nodejs npm"
command -v go >/dev/null || packages="$packages golang-go"

if command -v dpkg-query >/dev/null; then
    missing=
    for package in $packages; do
        case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true) in
            installed) ;;
            *) missing="$missing $package" ;;
        esac
    done
    if [ -n "$missing" ]; then
        if [ "$(id -u)" -eq 0 ]; then
            sudo=
        elif command -v sudo >/dev/null; then
            sudo=sudo
        else
            die "neither root nor sudo; install as root: apt-get install$missing"
        fi
        say "installing$missing"
        $sudo apt-get -q update >/dev/null || die "apt-get update failed: check the network and /etc/apt/sources.list"
        for package in $missing; do
            apt-cache show "$package" >/dev/null 2>&1 ||
                die "this Debian has no package $package; Debian 12 (bookworm) has"
        done
        $sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 \
            --no-install-recommends install $missing >/dev/null ||
            die "apt-get could not install$missing"
    fi
else
    say "not a Debian system: taking the tools as they are"
    for tool in apxs ab cmake ninja clang wasm-ld wat2wasm rustc cargo npm go python3 curl; do
        command -v $tool >/dev/null || die "$tool is missing"
    done
fi
say "all packages are there"
