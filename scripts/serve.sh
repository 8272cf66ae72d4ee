#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# serve.sh: runs the demo site on 127.0.0.1 until it is stopped (Ctrl-C).
#
#   PORT   port of the site, default 8080; its second virtual host is one above
#   MPM    event (default), worker or prefork
#
# All that the server writes lies in a fresh temporary directory, which is
# removed at the end; compiled modules are kept in the user's cache folder.
# WordPress and DokuWiki are served if they have been fetched and PHP 8.4 has
# been built (`make php-guest applications`).

set -eu

cd "$(dirname "$0")/.."
port=${PORT:-8080}
mpm=${MPM:-event}
build=$PWD/build/release
modules=$(apxs -q LIBEXECDIR)
httpd=$(apxs -q SBINDIR)/$(apxs -q PROGNAME)

die() { echo "serve.sh: $*" >&2; exit 1; }

case $mpm in event|worker|prefork) ;; *) die "MPM=$mpm: expected event, worker or prefork" ;; esac
[[ $port =~ ^[0-9]+$ ]] && ((port >= 1 && port <= 65534)) || die "PORT=$port: expected a number from 1 to 65534"
for p in "$port" "$((port + 1))"; do
    if (exec 3<>"/dev/tcp/127.0.0.1/$p") 2>/dev/null; then
        die "something listens on 127.0.0.1:$p already; choose another PORT"
    fi
done

# Of the same name each time, if that is free: start images belong to the directories of a route.
state=${TMPDIR:-/tmp}/mod_wasm-site-$port
mkdir "$state" 2>/dev/null || state=$(mktemp -d "$state.XXXXXX")
chmod 755 "$state"
mkdir "$state/data" "$state/tmp"
server= follower=
cleanup() {
    trap '' INT TERM HUP
    if [ -n "$server" ]; then
        kill -TERM "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    if [ -n "$follower" ]; then
        kill "$follower" 2>/dev/null || true
    fi
    rm -rf "$state"
}
trap cleanup EXIT
trap 'echo; echo "Stopping."; exit 0' INT TERM HUP

site=$PWD/examples sources=$PWD/guests guests=$PWD/build/guests applications=$PWD/build/applications
[ -e "$guests/php.wasm" ] && [ -e "$applications/wordpress" ] && [ -e "$applications/dokuwiki" ] || applications=
cache=${XDG_CACHE_HOME:-$HOME/.cache}/mod_wasm/images
identity=
if [ "$(id -u)" -eq 0 ]; then
    # Children run as another user, who may not be able to read a checkout
    # (below /root, say); then the site is served from a copy.
    user=www-data
    identity="User $user
Group $(id -gn $user)"
    cache=/var/cache/mod_wasm
    chown "$user" "$state/data" "$state/tmp"
    reads() { setpriv --reuid="$user" --regid="$(id -g $user)" --clear-groups test -r "$1"; }
    reads "$state/data" || die "user $user cannot enter $state: set TMPDIR to a directory that it can"
    if ! reads "$site/site.conf" || ! reads "$guests/hello.wasm" || ! reads "$build/mod_wasm.so"; then
        echo "User $user cannot read $PWD: serving a copy of the site"
        mkdir "$state/lib"
        cp "$build"/{mod_wasm.so,libwasm_runtime.so*,wasmctl} "$state/lib/"
        cp -r "$site" "$state/site"
        cp -r "$sources" "$state/sources"
        cp -r "$guests" "$state/guests"
        chmod -R a+rX "$state"/{lib,site,sources,guests}
        if [ -n "$applications" ]; then
            cp -r "$applications" "$state/applications"
            applications=$state/applications
        fi
        build=$state/lib site=$state/site sources=$state/sources guests=$state/guests
    fi
fi
if [ -n "$applications" ]; then
    "$site/make_state.sh" "$applications" "$state"
    [ -z "$identity" ] || chown -R "$user" "$state/wordpress" "$state/dokuwiki"
fi

load() {
    for name in "$@"; do
        if [ -e "$modules/mod_$name.so" ]; then   # else it is built in
            echo "LoadModule ${name}_module \"$modules/mod_$name.so\""
        fi
    done
}

cat >"$state/httpd.conf" <<EOF
ServerRoot "$state"
ServerName localhost
ServerTokens Minimal
PidFile "$state/httpd.pid"
DefaultRuntimeDir "$state"
ErrorLog "$state/error.log"
LogLevel warn wasm:info
Listen 127.0.0.1:$port
Listen 127.0.0.1:$((port + 1))
$identity

$(load "mpm_$mpm" unixd log_config authz_core mime dir alias reqtimeout)
LoadModule wasm_module "$build/mod_wasm.so"
WasmCacheDir "$cache"
WasmMaxInstances 32

TypesConfig /dev/null
AddType text/css .css
CustomLog "$state/access.log" "%h %t \"%r\" %>s %B %D"

Define SITE "$site"
Define SOURCES "$sources"
Define GUESTS "$guests"
Define STATE "$state"
${applications:+Define APPLICATIONS "$applications"}
Define MPM $mpm
Define PORT $port
Define PORT2 $((port + 1))
Include "$site/site.conf"
EOF

mkdir -p "$(dirname "$cache")"
echo "Starting $("$httpd" -v | sed -n 's/^Server version: //p') with the $mpm MPM"
if [ -n "$applications" ]; then
    echo 'PHP starts once for WordPress and once for DokuWiki, which is kept: some two minutes, the first time'
else
    echo 'WordPress and DokuWiki are left out; make php-guest applications brings what they need'
fi
touch "$state/error.log"
tail -n +1 -F "$state/error.log" 2>/dev/null &
follower=$!
# In a session of its own: a stopping server signals its whole process group.
setsid "$httpd" -d "$state" -f "$state/httpd.conf" -DFOREGROUND </dev/null &
server=$!
until curl -s -o /dev/null "http://127.0.0.1:$port/"; do
    kill -0 "$server" 2>/dev/null || { server=; sleep 0.2; die "the server did not start"; }
    sleep 0.2
done
echo
echo "The site is at http://127.0.0.1:$port/ (Ctrl-C stops it)"
wait "$server" || status=$?
server=
exit "${status:-0}"
