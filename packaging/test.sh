#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# test.sh: installs the packages of build/packages on a clean Debian 12 and
# goes through their life: install, enable, serve a PHP page by the lines of
# README.md, build against the library, purge. Nothing but what the
# administrator made may be left at the end.
#
# The clean system is a directory made by mmdebstrap from where this machine
# gets its packages. Needs root, and port 80 of 127.0.0.1.

set -euo pipefail

cd "$(dirname "$0")/.."
say() { echo "packages: $*"; }
die() { echo "packaging/test.sh: $*" >&2; exit 1; }

[ "$(id -u)" -eq 0 ] || die "needs root, for chroot"
command -v mmdebstrap >/dev/null || die "mmdebstrap is missing: install mmdebstrap"
ls build/packages/*.deb >/dev/null 2>&1 || die "build/packages holds no packages: run packaging/build.sh"
! (exec 3<>/dev/tcp/127.0.0.1/80) 2>/dev/null || die "something listens on 127.0.0.1:80 already"

root=$(mktemp -d "${TMPDIR:-/tmp}/mod_wasm-packages.XXXXXX")
log=$PWD/build/packages/test.log
: >"$log"
# A shell that keeps process numbers of its own for what runs inside: `service`
# there must not see the servers of this machine.
holder=
inside() { nsenter --mount --pid --target "$(pgrep -P "$holder")" chroot "$root" env -i \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
    DEBIAN_FRONTEND=noninteractive npm_config_cafile=/etc/ssl/certs/ca-certificates.crt "$@"; }
quietly() { "$@" >>"$log" 2>&1 || { tail -n 30 "$log" >&2; die "failed: $*"; }; }
cleanup() {
    if [ -n "$holder" ]; then
        # The first process inside, and with it all the others; unshare itself heeds no signal.
        kill -KILL "$(pgrep -P "$holder")" 2>/dev/null || true
        wait "$holder" 2>/dev/null || true
    fi
    rm -rf --one-file-system "$root"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

say "a clean Debian in $root"
sources=(/etc/apt/sources.list.d/*.sources)
[ -f "${sources[0]}" ] || sources=(/etc/apt/sources.list)
quietly mmdebstrap --variant=minbase bookworm "$root" "${sources[@]}"
cp /etc/resolv.conf "$root/etc/resolv.conf"
# shellcheck disable=SC2016  # expanded by the inner shell
unshare --mount --pid --fork --kill-child sh -c 'mount -t proc proc "$0/proc" && while sleep 1; do :; done' "$root" 2>>"$log" &
holder=$!
until [ -e "/proc/$(pgrep -P "$holder")/root$root/proc/1" ]; do sleep 0.1; done
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"   # apt starts no service
chmod 755 "$root/usr/sbin/policy-rc.d"
quietly inside apt-get update
# Everything but the packages themselves comes first, so that what they leave
# behind can be told from what others do.
quietly inside apt-get install -y --no-install-recommends apache2 curl openssl ca-certificates npm gcc libc6-dev pkg-config
# Whom this machine trusts (a proxy's certificate, say) is trusted in there.
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
sed -i 's/^Listen 80$/Listen 127.0.0.1:80/' "$root/etc/apache2/ports.conf"
echo 'ServerName localhost' >"$root/etc/apache2/conf-available/name.conf"
quietly inside a2enconf name

everything() {
    (cd "$root" && find . -xdev \( -path ./proc -o -path ./tmp -o -path ./root -o -path ./checkout -o -path ./var/log \
        -o -path ./run -o -path ./var/lib/dpkg -o -path ./var/lib/apt -o -path ./var/cache/apt -o -path ./var/cache/debconf \
        -o -path ./var/cache/ldconfig -o -path ./usr/local/lib/wasm -o -path ./srv \
        -o -path './var/lib/apache2/*_by_*' -type d -empty \) -prune -o -print | LC_ALL=C sort)
}
everything >"$root/tmp/before"

mkdir -p "$root/checkout/build" "$root/checkout/scripts"
cp -r build/packages "$root/checkout/build/"
cp scripts/fetch_guests.sh "$root/checkout/scripts/"

say "install"
quietly inside sh -c 'cd /checkout && apt-get install -y ./build/packages/*.deb'
! inside a2query -q -m wasm || die "the package enabled the module by itself"
inside dpkg -s libapache2-mod-wasm | grep -q '^Depends:.*apache2-api-20120211' || die "no dependency on apache2-api"

say "the lines of README.md"
sed -n '/^<!-- packaging\/test.sh runs/,/^```$/p' README.md | sed '1,2d;$d' >"$root/tmp/lines.sh"
[ "$(grep -c . "$root/tmp/lines.sh")" -lt 10 ] || die "these are ten lines or more"
inside sh -e -c 'cd /checkout && . /tmp/lines.sh' >"$root/tmp/page" 2>&1 ||
    { cat "$root/tmp/page" >&2; die "one of the lines failed"; }
tail -n 1 "$root/tmp/page" | grep -q '^Hello from PHP 8' || { cat "$root/tmp/page" >&2; die "no page from PHP"; }
quietly inside apachectl -t
page=$(inside curl -s -o /dev/null -w '%{http_code} %{content_type}' http://localhost/php/index.php)
[ "$page" = "200 text/html; charset=UTF-8" ] || die "the PHP page has $page"
! grep -E ':(error|crit|alert|emerg)\]' "$root/var/log/apache2/error.log" >&2 || die "errors in the log"
[ -n "$(ls "$root/var/cache/apache2/mod_wasm")" ] || die "nothing in the cache of compiled modules"

say "a warm start compiles nothing"
: >"$root/var/log/apache2/error.log"
quietly inside service apache2 restart
! grep AH10910 "$root/var/log/apache2/error.log" >&2 || die "the second start compiled again"

say "wasmctl and the library"
inside wasmctl run --dir /srv/php:ro /usr/local/lib/wasm/php-cgi.wasm -q /srv/php/index.php | grep -q '^Hello from PHP' ||
    die "wasmctl does not run PHP"
inside test -e /usr/share/man/man1/wasmctl.1.gz || die "no man page"
cat >"$root/tmp/version.c" <<'C'
#include <stdio.h>
#include <wasm_runtime.h>
int main(void)
{
    puts(wasmrt_version());
    return wasmrt_abi_version() != WASMRT_ABI_VERSION;
}
C
quietly inside sh -c 'cc -std=c89 -pedantic -Wall -Werror -o /tmp/version /tmp/version.c $(pkg-config --cflags --libs wasm-runtime) && /tmp/version'

say "remove: the server goes on without the module"
quietly inside apt-get remove -y libapache2-mod-wasm
! inside a2query -q -m wasm || die "the module is still enabled"
quietly inside apachectl -t
quietly inside service apache2 restart
page=$(inside curl -s -o /dev/null -w '%{http_code}' http://localhost/php/index.php)
[ "$page" = 404 ] || die "without the module the PHP page has status $page, expected 404"
quietly inside service apache2 stop

say "purge"
names=$(for package in build/packages/*.deb; do dpkg-deb -f "$package" Package; done)
# shellcheck disable=SC2086  # several words
quietly inside dpkg --purge $names
quietly inside a2disconf -p wasm-php
rm -f "$root/etc/apache2/conf-available/wasm-php.conf"   # the administrator's
everything >"$root/tmp/after"
left=$(diff "$root/tmp/before" "$root/tmp/after" | grep '^[<>]' || true)
[ -z "$left" ] || die "purged, but this differs: $left"
say "all went well"
