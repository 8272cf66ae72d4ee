#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# fetch_httpd_source.sh
#
# Prints the path of httpd's source, which `apt-get source apache2` gives on
# this Debian, without Debian's patches. It is fetched once, into the user's
# cache folder; nobody should change it there. apt's own configuration stays as
# it is: source packages are looked up where this machine gets its binary ones.

set -eu

die() { echo "fetch_httpd_source.sh: $*" >&2; exit 1; }
for tool in apt-get dpkg-source; do
    command -v $tool >/dev/null || die "$tool is missing: needs a Debian with dpkg-dev"
done

cache=${XDG_CACHE_HOME:-$HOME/.cache}/mod_wasm/httpd-source
if [ -e "$cache/.complete" ]; then
    echo "$cache/httpd"
    exit
fi
mkdir -p "$(dirname "$cache")"
work=$(mktemp -d "$cache.XXXXXX")
trap 'rm -rf "$work"' EXIT INT TERM
chmod 755 "$work"

mkdir -p "$work/apt/parts" "$work/apt/lists/partial" "$work/apt/cache/archives/partial"
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ ! -f "$file" ] || sed -n 's/^deb /deb-src /p' "$file" >"$work/apt/parts/$(basename "$file" .list).list"
done
for file in /etc/apt/sources.list.d/*.sources; do
    [ ! -f "$file" ] || sed 's/^Types:.*/Types: deb-src/' "$file" >"$work/apt/parts/$(basename "$file")"
done
run_apt() {
    command=$1; shift
    "$command" -q -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$work/apt/parts" \
        -o Dir::State::Lists="$work/apt/lists" -o Dir::Cache="$work/apt/cache" -o APT::Sandbox::User=root "$@"
}
run_apt apt-get update >"$work/log" 2>&1 || { cat "$work/log" >&2; die "apt-get update failed"; }

# Mirrors keep few versions of a source: the newest that can be had will do.
versions=$(run_apt apt-cache showsrc --only-source apache2 | sed -n 's/^Version: //p' | sort -Vru)
[ -n "$versions" ] || die "no source package apache2 where this machine gets its packages"
for version in $versions; do
    echo "Fetching httpd's source, apache2 $version" >&2
    if (cd "$work" && run_apt apt-get source --download-only "apache2=$version") >"$work/log" 2>&1; then
        fetched=$version
        break
    fi
done
[ -n "${fetched:-}" ] || { cat "$work/log" >&2; die "no version of it could be fetched"; }

# apt has checked the hashes against the signed index.
(cd "$work" && dpkg-source --no-check --skip-patches -x "apache2_${fetched#*:}.dsc" httpd) >"$work/log" 2>&1 ||
    { cat "$work/log" >&2; die "dpkg-source failed"; }
rm -rf "$work/httpd/debian" "$work/apt" "$work/log" "$work"/apache2_*
touch "$work/.complete"
mv -T "$work" "$cache" 2>/dev/null || [ -e "$cache/.complete" ]   # another run may have been first
echo "$cache/httpd"
